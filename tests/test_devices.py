"""Where to compute: which device is taken, which is refused, and when memory is too small."""

from __future__ import annotations

import os
import types
from collections.abc import Callable

import pytest
import torch

from styleshuffle.devices import BYTES_AT_REST, check_memory, choose_device, is_out_of_memory
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


def test_a_picture_fits_to_the_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PHYS_PAGES": (BYTES_AT_REST + 1000 * 4096) // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__, raising=False)
    monkeypatch.setattr(os, "sysconf_names", sizes, raising=False)
    check_memory(torch.device("cpu"), pixels=1000, bytes_a_pixel=4096)
    with pytest.raises(MemoryShortage):
        check_memory(torch.device("cpu"), pixels=1001, bytes_a_pixel=4096)


def test_the_refusal_names_what_is_needed_what_there_is_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styleshuffle.devices._memory_of", lambda device: 4 * 2**30)
    with pytest.raises(MemoryShortage) as refusal:
        check_memory(torch.device("cpu"), pixels=2**20, bytes_a_pixel=8192)
    assert (
        str(refusal.value)
        == "work_size: needs about 8.6 GiB of memory, but the device has 4.0 GiB; lower `work_size` or `size`"
    )


def test_a_gpu_has_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {torch.device("cuda:0"): BYTES_AT_REST + 2000, torch.device("cuda:1"): BYTES_AT_REST + 1000}

    def properties(device: torch.device) -> types.SimpleNamespace:
        return types.SimpleNamespace(total_memory=sizes[device])

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    check_memory(torch.device("cuda:0"), pixels=2000, bytes_a_pixel=1)
    with pytest.raises(MemoryShortage):
        check_memory(torch.device("cuda:1"), pixels=2000, bytes_a_pixel=1)


def test_where_memory_cannot_be_told_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf_names", {}, raising=False)
    check_memory(torch.device("cpu"), pixels=10**15, bytes_a_pixel=10**6)


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
