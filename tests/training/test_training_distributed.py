"""Training with two workers, as torchrun starts them: same weights, exact resume, failures that end all.

torchrun runs this very file on two processes. Each goes through all scenarios and writes down what it saw; the tests look
at the records.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor, nn

from styleshuffle.commands.train import main
from styleshuffle.errors import SettingsError, StyleShuffleError, WorkerError
from styleshuffle.training import data
from styleshuffle.training.agreement import check_crops, check_options
from styleshuffle.training.loop import TrainingPlan, TrainingProgress, train
from styleshuffle.training.workers import Workers, _own_device, joined

ROOT = Path(__file__).resolve().parents[2]
CROPS = torch.randn((24, 4), generator=torch.Generator().manual_seed(7))
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {},
    "generic-adam": {},
    "quantized-adam": {"gradient_bits": 3, "weight_bits": 8},
}
STEPS = 9
Run = tuple[nn.Module, Iterator[TrainingProgress]]


def small_run(
    plan: TrainingPlan, workers: Workers, seed: int = 0, change: Callable[[int, Tensor], Tensor] | None = None
) -> Run:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    done = 0

    def losses(chosen: Tensor) -> dict[str, Tensor]:
        nonlocal done
        done += 1
        x = CROPS[chosen]
        loss = (net(x) - x[:, :2] * x[:, 2:]).square().mean()
        return {"square": loss if change is None else change(done, loss)}

    return net, train(net, losses, len(CROPS), plan, workers)


def plan_for(folder: Path, optimizer: str, steps: int = STEPS, **settings: Any) -> TrainingPlan:
    given = {"settings": OPTIMIZERS[optimizer], "checkpoint_seconds": -1, **settings}
    return TrainingPlan(folder, steps, 0.05, 3, optimizer, **given)


def advance(steps: Iterator[TrainingProgress], to: int) -> None:
    """Go on to a step and drop the run there, as a kill does."""
    assert next(progress for progress in steps if progress.step == to)


def flat(net: nn.Module) -> Tensor:
    return torch.cat([value.flatten() for value in net.state_dict().values()])


def refusal(steps: Iterator[TrainingProgress]) -> str:
    try:
        list(steps)
    except StyleShuffleError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


# ---------------------------------------------------------------------------------------------------- on each worker


def work(folder: Path) -> None:
    rank = int(os.environ["RANK"])
    records: dict[str, Any] = {}
    try:
        with joined("cpu", 60) as workers:
            assert (workers.rank, workers.world) == (rank, 2)
            for optimizer in OPTIMIZERS:
                records[optimizer] = train_and_resume(folder / optimizer, optimizer, workers)
                records[f"nan {optimizer}"] = meet_a_nan(folder / f"nan {optimizer}", optimizer, workers)
            records["alone before"] = go_on_alike(folder / "alone", workers)
            records["refused"] = refusal(small_run(plan_for(folder / "adam" / "whole", "adam"), workers)[1])
            records["options"] = start_otherwise(folder, workers)
            records["apart"] = keep_folders_apart(folder / "apart", workers)
        records["cli"] = call_the_command(folder, 2)
        torch.save(records, folder / f"{rank}.pt")  # worker 1 has no other opportunity
        records["lost"] = lose_a_worker(folder / "lost", rank)
    except Exception:
        records["failure"] = traceback.format_exc()
    torch.save(records, folder / f"{rank}.pt")


def train_and_resume(folder: Path, optimizer: str, workers: Workers) -> dict[str, Any]:
    net, steps = small_run(plan_for(folder / "whole", optimizer), workers, seed=workers.rank)
    record: dict[str, Any] = {"weights": []}
    for _ in steps:
        record["weights"].append(flat(net))
    record["whole"] = flat(net)
    plan = plan_for(folder / "parts", optimizer)
    advance(small_run(plan, workers)[1], 4)
    again, steps = small_run(replace(plan, resume=True), workers, seed=workers.rank)
    record["resumed"] = [progress.step for progress in steps]
    record["parts"] = flat(again)
    return record


def meet_a_nan(folder: Path, optimizer: str, workers: Workers) -> dict[str, Any]:
    """Worker 1 has a useless gradient at its fourth step; then all go on from the checkpoint without it."""

    def poisoned(step: int, loss: Tensor) -> Tensor:
        return loss * float("nan") if (step, workers.rank) == (4, 1) else loss

    plan = plan_for(folder, optimizer)
    message = refusal(small_run(plan, workers, change=poisoned)[1])
    net, steps = small_run(replace(plan, resume=True), workers)
    return {"message": message, "resumed": [progress.step for progress in steps], "weights": flat(net)}


def go_on_alike(folder: Path, workers: Workers) -> dict[str, Any]:
    """What one process has begun."""
    net, steps = small_run(plan_for(folder, "quantized-adam", 6, resume=True), workers)
    with pytest.warns(UserWarning, match="the checkpoint is of 1 workers, not 2"):
        done = [progress.step for progress in steps]
    return {"resumed": done, "weights": flat(net)}


def keep_folders_apart(folder: Path, workers: Workers) -> dict[str, Any]:
    """Machines that share no folder: worker 0 has all, and has to be started where it was."""
    plans = [plan_for(folder / str(rank), "quantized-adam", 2, resume=True) for rank in range(2)]
    first = refusal(small_run(plans[workers.rank], workers)[1])
    swapped = refusal(small_run(replace(plans[1 - workers.rank], steps=4), workers)[1])
    then = refusal(small_run(replace(plans[workers.rank], steps=4), workers)[1])
    return {"messages": [first, swapped, then], "files": sorted(path.name for path in folder.glob("1/*"))}


def start_otherwise(folder: Path, workers: Workers) -> list[str]:
    """Worker 1 has other options, then another picture."""
    messages = []
    options = {"steps": 10 + workers.rank, "decay": {"r": 1.0}, "run": folder / str(workers.rank), "lr": None}
    crops = torch.full((2, 3, 4, 4), 7 * workers.rank, dtype=torch.uint8)
    for check in (
        lambda: check_options(workers, options),
        lambda: check_options(workers, options | {"steps": 10}),
        lambda: check_crops(workers, crops),
    ):
        try:
            messages.append(str(check()))
        except SettingsError as error:
            messages.append(str(error))
    return messages


def call_the_command(folder: Path, steps: int) -> tuple[int, str]:
    small = ["--crops", "8", "--side", "32", "--batch", "4", "--holdout", "1", "--steps", str(steps), "--resume"]
    where = ["--images", str(folder / "pictures"), "--run", str(folder / "run"), "--device", "cpu"]
    result = CliRunner().invoke(main, ["decoder", *where, *small, "--optimizer", "quantized-adam"])
    return result.exit_code, result.output


def lose_a_worker(folder: Path, rank: int) -> str:
    """Worker 1 is killed in its fifth step."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun would stop the other before it has written its record

    def killed(step: int, loss: Tensor) -> Tensor:
        if (step, rank) == (5, 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return loss

    with joined("cpu", 60) as workers:
        return refusal(small_run(plan_for(folder, "adam"), workers, change=killed)[1])


def die_and_be_restarted(folder: Path) -> None:
    """Worker 1 dies in its fifth step; what torchrun then starts has no --resume, and meets another run besides."""
    first = int(os.environ["TORCHELASTIC_RESTART_COUNT"]) == 0

    def killed(step: int, loss: Tensor) -> Tensor:
        if first and (step, int(os.environ["RANK"])) == (5, 1):
            os._exit(1)
        return loss

    with joined("cpu", 60) as workers:
        record: dict[str, Any] = {"old": refusal(small_run(plan_for(folder / "old", "quantized-adam"), workers)[1])}
        _, steps = small_run(plan_for(folder / "run", "quantized-adam"), workers, change=killed)
        record["resumed"] = [progress.step for progress in steps]
        torch.save(record, folder / f"{workers.rank}.pt")


# --------------------------------------------------------------------------------------------------------- the tests


def environment() -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two workers have left behind."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "pictures").mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(random.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / "pictures" / f"{number}.png")
    list(small_run(plan_for(folder / "alone", "quantized-adam", 3), Workers())[1])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__, folder]
    torchrun = subprocess.Popen(list(map(str, command)), env=environment(), cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        _, said = torchrun.communicate(timeout=150)
    except subprocess.TimeoutExpired:
        torchrun.terminate()  # it ends its workers then
        torchrun.communicate()
        raise
    for rank in range(2):
        assert (folder / f"{rank}.pt").exists(), said
    return folder


@pytest.fixture(scope="module")
def records(folder: Path) -> list[dict[str, Any]]:
    found = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for record in found:
        assert "failure" not in record, record["failure"]
    return found


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_all_workers_hold_the_same_weights_and_resume_exactly(records: list[dict[str, Any]], optimizer: str) -> None:
    one, other = (record[optimizer] for record in records)
    assert len(one["weights"]) == STEPS and len(torch.stack(one["weights"]).unique(dim=0)) == STEPS
    assert torch.equal(torch.stack(one["weights"]), torch.stack(other["weights"]))
    for seen in (one, other):
        assert seen["resumed"] == [5, 6, 7, 8, 9]
        assert torch.equal(seen["parts"], one["whole"])


@pytest.mark.parametrize("optimizer", ["adam", "generic-adam"])
def test_two_workers_do_what_one_does_with_twice_the_batch(
    records: list[dict[str, Any]], tmp_path: Path, optimizer: str
) -> None:
    net, steps = small_run(replace(plan_for(tmp_path, optimizer), batch=6), Workers())
    list(steps)
    assert torch.allclose(records[0][optimizer]["whole"], flat(net), atol=1e-5)
    half, steps = small_run(plan_for(tmp_path / "half", optimizer), Workers())
    list(steps)
    assert not torch.allclose(flat(half), flat(net), atol=1e-3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_useless_gradient_of_one_worker_ends_all_and_all_can_go_on(
    records: list[dict[str, Any]], optimizer: str
) -> None:
    for record in records:
        seen = record[f"nan {optimizer}"]
        assert seen["message"].startswith("WorkerError: worker 1: the gradient of 0.weight is not finite")
        assert seen["resumed"] == [4, 5, 6, 7, 8, 9]
        assert torch.equal(seen["weights"], records[0][optimizer]["whole"])


def test_more_workers_go_on_where_one_was(records: list[dict[str, Any]]) -> None:
    one, other = (record["alone before"] for record in records)
    assert one["resumed"] == other["resumed"] == [4, 5, 6]
    assert torch.equal(one["weights"], other["weights"])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_worker_goes_on_where_two_were(
    records: list[dict[str, Any]], folder: Path, optimizer: str, recwarn: pytest.WarningsRecorder
) -> None:
    """From the same position in the epoch: after 9 steps of 2 x 3 crops."""
    drawn: list[Tensor] = []
    plan = plan_for(folder / optimizer / "parts", optimizer, STEPS + 2, resume=True)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def losses(chosen: Tensor) -> dict[str, Tensor]:
        drawn.append(chosen)
        return {"square": net(CROPS[chosen]).square().mean()}

    assert [progress.step for progress in train(net, losses, len(CROPS), plan)] == [10, 11]
    assert torch.equal(torch.cat(drawn), data.draw(len(CROPS), 0, 9 * 2 * 3, 6))
    messages = [str(warning.message) for warning in recwarn if "checkpoint" in str(warning.message)]
    assert len(messages) == (optimizer == "quantized-adam")


def test_what_the_first_worker_refuses_all_refuse(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert record["refused"].startswith("SettingsError: ") and "`resume`" in record["refused"]


def test_options_and_pictures_that_differ_are_named_on_all_workers(records: list[dict[str, Any]]) -> None:
    for record in records:
        options, alike, crops = record["options"]
        assert options == "workers 0 and 1 differ: --steps (10 and 11); start all with the same options"
        assert alike == "None"
        assert crops.startswith("workers 0 and 1 differ: pictures in --images (") and "same pictures" in crops


def test_torchrun_restarts_go_on_by_themselves_but_only_with_the_run_that_they_began(tmp_path: Path) -> None:
    for name in ("old", "whole"):
        list(small_run(plan_for(tmp_path / name, "quantized-adam", 3 if name == "old" else STEPS), Workers())[1])
    command = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "1", __file__, tmp_path, "restart"]
    launch = [sys.executable, "-m", "torch.distributed.run", *command]
    done = subprocess.run(
        list(map(str, launch)), env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        record = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert record["resumed"] == [5, 6, 7, 8, 9]
        assert record["old"].startswith("SettingsError: ") and "pass `resume` to continue it" in record["old"]


def test_workers_need_no_common_folder_but_the_first_one_its_own(records: list[dict[str, Any]]) -> None:
    for record in records:
        first, swapped, then = record["apart"]["messages"]
        assert first == then == "none" and record["apart"]["files"] == []
        assert swapped.startswith("SettingsError: ") and "worker 1 has it, but not worker 0" in swapped


def test_the_command_speaks_for_the_first_worker_only_and_goes_on_with_one(
    records: list[dict[str, Any]], folder: Path
) -> None:
    (code, said), other = (record["cli"] for record in records)
    assert code == 0 and said.startswith("PSNR relu4_1: ")
    assert other == (0, "")
    assert (folder / "run" / "decoder.safetensors").exists()
    code, said = call_the_command(folder, 3)
    assert code == 0
    assert said.startswith("styleshuffle: warning: the checkpoint is of 2 workers, not 1: ")


def test_a_killed_worker_ends_the_other_in_one_line_and_the_checkpoint_is_whole(
    records: list[dict[str, Any]], folder: Path
) -> None:
    message = records[0]["lost"]
    assert message.startswith("WorkerError: worker 0: lost contact with the other workers: ")
    assert "\n" not in message and message.endswith("`resume`")
    net, steps = small_run(plan_for(folder / "lost", "adam", resume=True), Workers())
    assert [progress.step for progress in steps] == [5, 6, 7, 8, 9]
    assert flat(net).isfinite().all()


def test_each_worker_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(_own_device(name, 1)) for name in ("auto", "cuda", "cuda:0", "cpu")] == ["cuda:1"] * 2 + ["cuda:0", "cpu"]
    with pytest.raises(SettingsError, match="2 GPUs are too few for worker 3 of this machine"):
        _own_device("auto", 2)


def test_workers_that_cannot_be_reached_are_an_error_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # but nobody listens
        port = held.getsockname()[1]
        for name, value in {"WORLD_SIZE": 2, "RANK": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, str(value))
        with pytest.raises(
            WorkerError, match=rf"worker 1: cannot reach the other workers through 127\.0\.0\.1:{port}: "
        ) as error:
            joined("cpu", 1).__enter__()
    assert "\n" not in str(error.value)


if __name__ == "__main__":
    (die_and_be_restarted if "restart" in sys.argv else work)(Path(sys.argv[1]))
