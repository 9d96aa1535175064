"""What 2 bits save in time on a slow link: two workers in network namespaces, with a link of 10, 100 and 1000 Mbit/s.

    python benchmarks/throttled_link.py --out docs
    python benchmarks/throttled_link.py --quick
    python benchmarks/throttled_link.py --from-data

Two processes train the decoder from relu3_1 to the picture, each with a thread of its own: with float32 gradients
averaged by DistributedDataParallel and `GenericAdam`, and with `QuantizedAdam` in 4 and 2 bits. Where it is allowed
(Linux, root, iproute2), each process lives in a network namespace, and `tc` limits the link between them (a token bucket
at both ends). Elsewhere, or with ``--paced``, the transport is paced: after each step a process sleeps as long as its
bytes would take on the link; that leaves out headers and latency, and nothing overlaps.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import throttled_link_report
import torch
import torch.distributed as dist
from common import DOCS, check_matplotlib, from_data_option, machine, out_option
from pages import read_data, write_data, write_page
from reconstruction import Task, images_option, in_parallel, load_task, prepare, shared_folder

from styleshuffle.optim import GenericAdam, QuantizedAdam

LEVEL, BATCH, RATE = 3, 4, 0.006
SPEEDS = (10, 100, 1000)  # Mbit/s
BITS = (None, 4, 2)  # None: float32, averaged gradients
WORKERS = 2
ADDRESSES = ("10.199.0.1", "10.199.0.2")
PORT = 29517
FIRST = 2  # steps that do not count


@dataclass(frozen=True)
class Link:
    """A link of a number of Mbit/s (None: as fast as the machine is), and how it is made."""

    speed: int | None
    paced: bool


# ------------------------------------------------------------------------------------------------------- namespaces


def can_throttle() -> bool:
    """Whether namespaces and `tc` can be used here."""
    if os.name != "posix" or os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("ip", "tc")):
        return False
    name = f"styleshuffle-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return made


@contextmanager
def namespaces(speed: int) -> Iterator[list[str]]:
    """Two network namespaces with a link of so many Mbit/s between them; their names."""
    names = [f"styleshuffle-{os.getpid()}-{rank}" for rank in range(WORKERS)]
    ends = [f"ss{os.getpid() % 100000}{side}" for side in "ab"]
    try:
        for name in names:
            _run("ip", "netns", "add", name)
        _run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, ADDRESSES, strict=True):
            _run("ip", "link", "set", end, "netns", name)
            inside = ["ip", "netns", "exec", name]
            _run(*inside, "ip", "address", "add", f"{address}/24", "dev", end)
            _run(*inside, "ip", "link", "set", end, "up")
            _run(*inside, "ip", "link", "set", "lo", "up")
            burst = max(speed * 1000 // 8, 16_000)  # bytes of a millisecond of the link
            bucket = ["rate", f"{speed}mbit", "burst", str(burst), "latency", "200ms"]
            _run(*inside, "tc", "qdisc", "add", "dev", end, "root", "tbf", *bucket)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}: {done.stderr.strip()}; give --paced")


# ---------------------------------------------------------------------------------------------------------- workers


def trained(folder: Path, link: Link, steps: int) -> list[dict[str, Any]]:
    """Train with two processes, in all ways one after the other; what rank 0 measured."""
    if link.speed is None or link.paced:
        return _both([[], []], "127.0.0.1", folder, link, steps)
    with namespaces(link.speed) as names:
        return _both([["ip", "netns", "exec", name] for name in names], ADDRESSES[0], folder, link, steps)


def _both(prefixes: Sequence[Sequence[str]], host: str, folder: Path, link: Link, steps: int) -> list[dict[str, Any]]:
    pace = link.speed if link.paced and link.speed else 0
    job = [sys.executable, __file__, "--work", json.dumps([str(folder), host, steps, pace])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}  # no names of hosts: no warning
    started = [
        subprocess.Popen([*prefix, *job, "--rank", str(rank)], env=environment) for rank, prefix in enumerate(prefixes)
    ]
    codes = [process.wait() for process in started]
    if any(codes):
        raise click.ClickException(f"a worker ended with exit code {max(codes, key=abs)}")
    measured: list[dict[str, Any]] = json.loads((folder / "result.json").read_text())
    return measured


def work(rank: int, folder: Path, host: str, steps: int, pace: int) -> None:
    """What each process does."""
    if host != "127.0.0.1":
        address = ADDRESSES[rank]
        known = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True).stdout.splitlines()
        os.environ["GLOO_SOCKET_IFNAME"] = next(line.split()[1] for line in known if address in line)
    task = load_task(folder)
    dist.init_process_group("gloo", init_method=f"tcp://{host}:{PORT}", rank=rank, world_size=WORKERS)
    rows = [{"bits": bits, **train(task, rank, bits, steps, pace)} for bits in BITS]
    if rank == 0:
        (folder / "result.json").write_text(json.dumps(rows))
    dist.barrier()
    dist.destroy_process_group()


def train(task: Task, rank: int, bits: int | None, steps: int, pace: int) -> dict[str, float]:
    """One way: the median time of a step in ms, and the bytes that a worker sends in it."""
    net = deepcopy(task.networks[0])
    model: Any = net
    optimizer: Any
    if bits is None:
        model, optimizer = in_parallel(net), GenericAdam(net.parameters(), RATE)
    else:
        optimizer = QuantizedAdam(net.parameters(), RATE, gradient_bits=bits)
    ring = 2 * (WORKERS - 1) / WORKERS * 4 * sum(parameter.numel() for parameter in net.parameters())
    random = torch.Generator().manual_seed(rank)
    times, sent = [], 0.0
    for _ in range(steps + FIRST):
        before = getattr(optimizer, "bytes_sent", 0)
        start = time.perf_counter()
        optimizer.zero_grad()
        model(*task.batch(BATCH, random)).backward()
        optimizer.step()
        sent = ring if bits is None else optimizer.bytes_sent - before
        if pace:
            time.sleep(sent * 8 / (pace * 1e6))
        times.append(1000 * (time.perf_counter() - start))
    return {"milliseconds": statistics.median(times[FIRST:]), "sent": sent}


# --------------------------------------------------------------------------------------------------------------- all


def measure(folder: Path, steps: int, paced: bool) -> dict[str, Any]:
    """Data of the page: facts, and a row for each speed and each way."""
    rows = []
    for speed in (*SPEEDS, None):
        click.echo(f"{speed} Mbit/s" if speed else "no limit", err=True)
        rows += [{"speed": speed, **row} for row in trained(folder, Link(speed, paced), steps)]
    facts = {"machine": machine(), "level": LEVEL, "batch": BATCH, "workers": WORKERS, "steps": steps, "paced": paced}
    return {"facts": facts, "runs": rows}


@click.command(context_settings={"show_default": True})
@images_option
@click.option("--steps", default=40, type=click.IntRange(3), help="Steps whose median counts.")
@click.option("--paced", is_flag=True, help="Sleep as long as the bytes would take, instead of throttling a real link.")
@out_option
@from_data_option
@click.option("--quick", is_flag=True, help="5 steps of each.")
@click.option("--work", "job", hidden=True)
@click.option("--rank", type=int, hidden=True)
def main(
    images: tuple[Path, ...],
    steps: int,
    paced: bool,
    out: Path | None,
    from_data: bool,
    quick: bool,
    job: str | None,
    rank: int | None,
) -> None:
    """Print the time of a step over links of several speeds."""
    if job is not None and rank is not None:
        folder, *rest = json.loads(job)
        work(rank, Path(folder), *rest)
        return
    out = out or (DOCS if from_data else None)
    check_matplotlib(out)
    if from_data and out:
        data = read_data(out / "throttled_link.json")
    else:
        if not paced and not can_throttle():
            click.echo("no network namespaces here: the transport is paced", err=True)
            paced = True
        start = time.monotonic()
        with shared_folder(prepare(images, LEVEL, 300, 16, 1)) as folder:
            data = measure(folder, 5 if quick else steps, paced)
        data["facts"] |= {"minutes": (time.monotonic() - start) / 60, "quick": quick}
    marks = throttled_link_report.marks(data)
    click.echo(f"{marks['table']}\n\n{marks['verdicts']}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_data(out / "throttled_link.json", data)
        write_page(out, "throttled_link", marks)
        throttled_link_report.draw(data, out / "throttled_link.png")


if __name__ == "__main__":
    main()
