"""Read a great many damaged pictures, and see that nothing but a `PictureError` comes of them.

    python benchmarks/fuzz.py --files 10000
    python benchmarks/fuzz.py --files 1000000 --jobs 2 --out docs
    python benchmarks/fuzz.py --replay 123456 --save damaged.bin

Each file is a small picture of one of the formats (`seed_files.py`) that is changed at random (`mutations.py`), by the
number of the file: so any file can be made again. Child processes read them with ``max_pixels`` 100 million. A child that
dies, or that takes too much processor time for a file, is replaced. The exit code is 1 if any file raised another
exception, killed its process, took more than 1 GB or more than 5 s of processor time.
"""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import click

import styleshuffle

MAX_PIXELS = 100_000_000
MOST_BYTES, MOST_SECONDS = 10**9, 5.0
_HUNG = 60.0  # seconds of processor time, after which a child is killed
_REPORT = struct.Struct("<qBdqH")  # number of the file, outcome, seconds, bytes, length of a message that follows
_OUTCOMES = ("refused", "read", "raised", "read wrongly")


@dataclass
class Tally:
    """What came of the files.

    Attributes:
        outcomes: how many files were refused, read and so on, by the suffix of the seed file.
        faults: the number of each file that broke a promise, and how.
        most_bytes, most_seconds: of a single file, with its number.
        printed: bytes that decoders wrote to stderr by themselves.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)
    most_bytes: tuple[int, int] = (0, -1)
    most_seconds: tuple[float, int] = (0.0, -1)
    printed: int = 0

    def add(self, number: int, outcome: str, seconds: float, size: int, message: str) -> None:
        self.outcomes[outcome] += 1
        self.most_bytes = max(self.most_bytes, (size, number))
        self.most_seconds = max(self.most_seconds, (seconds, number))
        if outcome in ("raised", "read wrongly"):
            self.faults.append((number, f"{outcome}: {message}"))
        if size > MOST_BYTES:
            self.faults.append((number, f"took {size / 1e9:.2f} GB"))
        if seconds > MOST_SECONDS:
            self.faults.append((number, f"took {seconds:.1f} s"))

    def merge(self, other: Tally) -> None:
        self.outcomes.update(other.outcomes)
        self.faults += other.faults
        self.most_bytes = max(self.most_bytes, other.most_bytes)
        self.most_seconds = max(self.most_seconds, other.most_seconds)
        self.printed += other.printed


# ---------------------------------------------------------------------------------------------------- the child process


def read_all(first: int, count: int) -> None:
    """What a child does: read files by number, and report on stdout."""
    import resource

    from mutations import mutated
    from seed_files import seed_files

    from styleshuffle.images import read

    resource.setrlimit(resource.RLIMIT_DATA, (8 * MOST_BYTES, resource.RLIM_INFINITY))
    seeds, out = seed_files(), sys.stdout.buffer
    read(_stream(next(iter(seeds.values()))))  # imports and tables that every later file finds done
    for number in range(first, first + count):
        _, content = mutated(seeds, number)
        out.write(_REPORT.pack(number, 255, 0, 0, 0))  # begun
        out.flush()
        _forget_peak()
        held, before = _memory("VmRSS"), time.process_time()
        outcome, message = _outcome(content)
        seconds, taken = time.process_time() - before, _memory("VmHWM") - held
        text = message.encode()[:2000]
        out.write(_REPORT.pack(number, outcome, seconds, max(0, taken), len(text)) + text)
    out.flush()


def _outcome(content: bytes) -> tuple[int, str]:
    import numpy as np

    from styleshuffle.errors import PictureError
    from styleshuffle.images import read

    try:
        picture = read(_stream(content), max_pixels=MAX_PIXELS)
    except PictureError as error:
        message = str(error)
        good = message.isprintable() and message.startswith("the stream: ") and "; " in message
        return (0, "") if good else (3, f"message {message!r}")
    except BaseException as error:
        return 2, f"{type(error).__name__}: {error}"
    rgb, alpha = picture.rgb, picture.alpha
    good = rgb.shape[2:] == (3,) and rgb.dtype in (np.uint8, np.uint16, np.float32) and rgb.size > 0
    beyond = 4 if picture.profile else 0  # a profile may be wider than sRGB
    good = good and (rgb.dtype != np.float32 or bool(rgb.min() >= -beyond and rgb.max() <= 1 + beyond))
    good = good and (alpha is None or alpha.shape == rgb.shape[:2])
    return (1, "") if good else (3, f"pixels {rgb.shape} {rgb.dtype}")


def _stream(content: bytes) -> BinaryIO:
    import io

    return io.BytesIO(content)


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _memory(kind: str) -> int:
    """Bytes that this process holds (VmRSS), or the most since `_forget_peak` (VmHWM)."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(kind))


# --------------------------------------------------------------------------------------------------- the parent process


def tried(first: int, count: int) -> Tally:
    """Read files by number in child processes, one after another as they die."""
    tally, last = Tally(), first + count
    while first < last:
        with tempfile.TemporaryFile() as said:
            first = _one_child(first, last - first, tally, said)
            tally.printed += said.seek(0, os.SEEK_END)
    return tally


def _one_child(first: int, count: int, tally: Tally, said: BinaryIO) -> int:
    """Run a child until it ends; returns the number of the file to go on with."""
    command = [sys.executable, __file__, "--child", str(first), "--files", str(count)]
    paths = [str(Path(styleshuffle.__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}  # the child finds this very package
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=environment)
    current, done = first, first
    assert child.stdout is not None
    for number, outcome, seconds, size, message in _reports(child):
        if outcome == 255:
            current = number
        else:
            tally.add(number, _OUTCOMES[outcome], seconds, size, message)
            done = number + 1
    code = child.wait()
    if done == first + count:
        return done
    if current < done or (current == first and code == 1):
        said.seek(0)
        raise click.ClickException(f"the child failed before it read a file: {said.read()[-300:].decode()}")
    tally.outcomes["killed"] += 1
    tally.faults.append((current, f"killed its process, exit code {code}"))
    return current + 1


def _reports(child: subprocess.Popen[bytes]) -> Iterator[tuple[int, int, float, int, str]]:
    """The reports of a child. If it works on one file for too long, it is killed."""
    assert child.stdout is not None
    pipe, buffer, used = child.stdout.fileno(), b"", 0.0
    while True:
        if not select.select([pipe], [], [], 5)[0]:
            if _processor_seconds(child.pid) - used > _HUNG:
                child.kill()
            continue
        block = os.read(pipe, 2**16)
        if not block:
            return
        buffer, used = buffer + block, _processor_seconds(child.pid)
        while len(buffer) >= _REPORT.size:
            *report, length = _REPORT.unpack_from(buffer)
            if len(buffer) < _REPORT.size + length:
                break
            message = buffer[_REPORT.size : _REPORT.size + length].decode(errors="replace")
            buffer = buffer[_REPORT.size + length :]
            yield (*report, message)  # type: ignore[misc]


def _processor_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shares(first: int, count: int, jobs: int) -> Sequence[tuple[int, int]]:
    """The files of each job: where they begin, and how many there are."""
    ends = [first + count * job // jobs for job in range(jobs + 1)]
    return [(start, end - start) for start, end in pairwise(ends) if end > start]


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--files", default=10_000, help="How many files to read.")
@click.option("--first", default=0, help="The number of the first file.")
@click.option("--jobs", default=os.cpu_count() or 1, help="How many processes read at a time.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write fuzz.json into.")
@click.option("--replay", type=int, help="Read only the file of this number, in this process.")
@click.option("--save", type=click.Path(path_type=Path), help="With --replay: also write the file.")
@click.option("--child", type=int, hidden=True)
def main(
    files: int, first: int, jobs: int, out: Path | None, replay: int | None, save: Path | None, child: int | None
) -> None:
    if child is not None:
        read_all(child, files)
        return
    if replay is not None:
        _replay(replay, save)
        return
    began, tally = time.monotonic(), Tally()
    with ThreadPoolExecutor(jobs) as pool:
        for part in pool.map(lambda share: tried(*share), shares(first, files, jobs)):
            tally.merge(part)
    facts = {
        "files": tally.outcomes.total(),
        "refused": tally.outcomes["refused"],
        "read": tally.outcomes["read"],
        "other exceptions": tally.outcomes["raised"] + tally.outcomes["read wrongly"],
        "killed processes": tally.outcomes["killed"],
        "over 1 GB": sum("GB" in how for _, how in tally.faults),
        "over 5 s": sum(how.endswith(" s") for _, how in tally.faults),
        "most memory of a file, MB": round(tally.most_bytes[0] / 1e6),
        "most processor time of a file, s": round(tally.most_seconds[0], 1),
        "bytes that decoders printed": tally.printed,
        "minutes": round((time.monotonic() - began) / 60, 1),
    }
    for name, value in facts.items():
        click.echo(f"{name}: {value:,}")
    click.echo(f"costliest files: {tally.most_bytes[1]} (memory), {tally.most_seconds[1]} (time)")
    for number, how in tally.faults[:50]:
        click.echo(f"file {number}: {how}")
    if out is not None:
        (out / "fuzz.json").write_text(json.dumps({"facts": facts, "faults": tally.faults}, indent=1) + "\n")
    if tally.faults:
        raise SystemExit(1)


def _replay(number: int, save: Path | None) -> None:
    from mutations import mutated
    from seed_files import seed_files

    from styleshuffle.images import read

    name, content = mutated(seed_files(), number)
    click.echo(f"file {number}: {name}, {len(content):,} bytes")
    if save is not None:
        save.write_bytes(content)
    click.echo(str(read(_stream(content), max_pixels=MAX_PIXELS).size))


if __name__ == "__main__":
    main()
