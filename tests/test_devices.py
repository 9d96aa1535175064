"""Where to compute: which device is taken, which is refused, and when memory is too small."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from styleshuffle.devices import BYTES_OF_ANY_WORK, check_memory, choose_device, free_memory, is_out_of_memory
from styleshuffle.errors import MemoryShortage, SettingsError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give this machine GPUs, or take them away."""

    def pretend(gpus: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("gpus", "mps", "expected"), [(0, False, "cpu"), (2, False, "cuda:0"), (0, True, "mps"), (1, True, "cuda:0")]
)
def test_auto_takes_the_fastest_kind_there_is(machine: Callable[..., None], gpus: int, mps: bool, expected: str) -> None:
    machine(gpus, mps)
    assert choose_device("auto") == torch.device(expected)


def test_a_device_that_is_there_can_be_named(machine: Callable[..., None]) -> None:
    machine(gpus=2, mps=True)
    assert [str(choose_device(name)) for name in ("cpu", "cuda", "cuda:1", "mps")] == ["cpu", "cuda", "cuda:1", "mps"]


@pytest.mark.parametrize("name", ["toaster", "cuda:99", "", "CPU", "cpu:1", "meta"])
def test_an_unknown_device_is_refused_with_those_there_are(machine: Callable[..., None], name: str) -> None:
    machine(gpus=2)
    with pytest.raises(SettingsError) as refusal:
        choose_device(name)
    assert str(refusal.value) == f"device: {name!r} is not available; use auto or one of: cpu, cuda:0, cuda:1"


def test_cuda_and_mps_are_refused_where_there_is_no_gpu(machine: Callable[..., None]) -> None:
    machine()
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(SettingsError, match=r"use auto or one of: cpu$"):
            choose_device(name)


# -------------------------------------------------------------------------------------------------------------- memory


CPU = torch.device("cpu")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Let this much of the machine's memory be free."""
    return lambda amount: monkeypatch.setattr("styleshuffle.devices.available_memory", lambda bound, wanted: amount)


def test_work_fits_to_the_last_byte(free: Callable[[int | None], None]) -> None:
    free(BYTES_OF_ANY_WORK + 1000 * 4096)
    check_memory(CPU, pixels=1000, bytes_a_pixel=4096)
    with pytest.raises(MemoryShortage):
        check_memory(CPU, pixels=1001, bytes_a_pixel=4096)


def test_the_refusal_names_what_is_needed_what_is_free_and_the_remedy(free: Callable[[int | None], None]) -> None:
    free(4 * 2**30)
    with pytest.raises(MemoryShortage) as refusal:
        check_memory(CPU, pixels=2**20, bytes_a_pixel=8192, lower=("work_size", "size"))
    needed = "work_size: needs about 8.1 GiB more memory, but 4.0 GiB are free; lower `work_size` or `size`"
    assert str(refusal.value) == needed
    with pytest.raises(MemoryShortage, match=r"^size: .* lower `size`, or raise `memory`$"):
        check_memory(CPU, pixels=2**20, bytes_a_pixel=8192, bound=5 * 2**30)


def test_a_bound_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styleshuffle.devices.available_memory", lambda bound, wanted: bound - 500)
    assert free_memory(CPU, 3000) == 2500


def test_a_gpu_has_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others hold some of it, and torch keeps some that it does not use."""
    gpu, other = torch.device("cuda:0"), torch.device("cuda:1")
    left = {gpu: BYTES_OF_ANY_WORK + 2000, other: BYTES_OF_ANY_WORK + 1000}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (left[device], 10**12))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 400)
    assert [free_memory(gpu), free_memory(other)] == [amount + 300 for amount in left.values()]
    assert [free_memory(gpu, bound) for bound in (100, 1000, 10**12)] == [0, 600, left[gpu] + 300]
    check_memory(gpu, pixels=2300, bytes_a_pixel=1)
    with pytest.raises(MemoryShortage, match="free on cuda:1; lower"):
        check_memory(other, pixels=2300, bytes_a_pixel=1)


def test_where_memory_cannot_be_told_nothing_is_refused(free: Callable[[int | None], None]) -> None:
    free(None)
    check_memory(CPU, pixels=10**15, bytes_a_pixel=10**6)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_ran_out_is_recognised_on_all_devices(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
