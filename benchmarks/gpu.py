"""Check all that a GPU must do, in less than five minutes: the same pictures as the CPU, speed, memory, and its shortage.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --device cuda --json gpu.json
    python benchmarks/gpu.py --from-json gpu.json --out docs
    python benchmarks/gpu.py --device cpu --quick

It needs torch, NumPy, Pillow and safetensors, but no installation of styleshuffle and no network. The last command
rehearses the checks without a GPU, with small pictures; what cannot be checked then is said. ``--out`` needs the packages
of the other benchmarks too. Exit code 1 means that a check has failed.
"""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import torch

    from styleshuffle import Stylizer

PAIRS = (("astronaut", "swirling_night"), ("cat", "byzantine_mosaic"), ("coffee", "watercolour_lake"))
LEAST_DB = 35.0
SECONDS_512, SECONDS_4096 = 0.030, 1.0  # of an H100, with the style prepared
LITTLE_MEMORY = 2 * 2**30  # of the GPU, in the check of a shortage


@dataclass
class Check:
    """What was checked, what came out, and what is wanted; `passed` is None where nothing can be said."""

    name: str
    result: str
    aim: str = ""
    passed: bool | None = None


class Bench:
    """A device and the sizes that it is checked with."""

    def __init__(self, device: str, quick: bool) -> None:
        import torch

        self.device = torch.device(device)
        self.small, self.large = (128, 256) if quick else (512, 4096)
        self.repeat = 2 if quick else 20
        self.stylizers: dict[tuple[str, int, str], Stylizer] = {}

    def stylizer(self, size: int, style: str, device: str | None = None, **more: Any) -> Stylizer:
        from styleshuffle import Stylizer

        stylizer = Stylizer(size=size, device=device or str(self.device), **more)
        return stylizer.set_style(ROOT / "samples" / "style" / f"{style}.jpg")

    def content(self, name: str, size: int) -> Any:
        """A square sample picture, decoded."""
        from PIL import Image, ImageOps

        from styleshuffle.images import read

        with Image.open(ROOT / "samples" / "content" / f"{name}.jpg") as image:
            return read(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BICUBIC))

    def synchronise(self) -> None:
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def seconds(self, work: Callable[[], object], repeat: int, warm_up: int = 1) -> float:
        """Median seconds of a piece of work, the device's part included."""
        times = []
        for turn in range(-warm_up, repeat):
            self.synchronise()
            start = time.perf_counter()
            work()
            self.synchronise()
            if turn >= 0:
                times.append(time.perf_counter() - start)
        return statistics.median(times)


def decibels(picture: Any, other: Any) -> float:
    """How alike two results are: the peak signal-to-noise ratio of their pixels in [0, 1]."""
    import numpy as np

    error = float(np.square(picture.rgb - other.rgb).mean())
    return float("inf") if error == 0 else -10 * float(np.log10(error))


# ---------------------------------------------------------------------------------------------------------- the checks


def has_precisions() -> bool:
    """Whether this version can choose what the networks compute in."""
    from styleshuffle import Stylizer

    return "precision" in inspect.signature(Stylizer.__init__).parameters


def agreement(bench: Bench) -> list[Check]:
    """The same pictures as the CPU makes, both in float32: in fewer bits single matches differ."""
    checks = []
    exact = {"precision": "float32"} if has_precisions() else {}
    for content, style in PAIRS:
        picture = bench.content(content, bench.small)
        own = bench.stylizer(bench.small, style, **exact).render(picture)
        cpu = bench.stylizer(bench.small, style, "cpu", **exact).render(picture)
        alike = decibels(own, cpu)
        name = f"{content} in {style}, {bench.small} x {bench.small}, against the CPU"
        passed = alike >= LEAST_DB if bench.device.type != "cpu" else None  # against itself
        checks.append(Check(name, f"{alike:.1f} dB", f"at least {LEAST_DB:.0f} dB", passed))
    return checks


def precisions(bench: Bench) -> list[Check]:
    """Each precision that can be chosen: time and likeness to float32 of the CPU."""
    if not has_precisions():
        return [Check("precisions", "there is no such choice in this version")]
    content, style = PAIRS[0]
    picture = bench.content(content, bench.small)
    cpu = bench.stylizer(bench.small, style, "cpu", precision="float32").render(picture)
    checks = []
    for precision in ("float32", "bfloat16", "float16"):
        name = f"{bench.small} x {bench.small} in {precision}, style prepared, and its likeness to the CPU's float32"
        try:
            stylizer = bench.stylizer(bench.small, style, precision=precision)
            alike = decibels(stylizer.render(picture), cpu)
            spent: list[float] = []
            stylizer.apply = clocked(bench, stylizer.apply, spent)  # type: ignore[method-assign]
            bench.seconds(lambda own=stylizer: own.render(picture), bench.repeat)
            checks.append(Check(name, f"{1000 * statistics.median(spent[1:]):.1f} ms, {alike:.1f} dB"))
        except Exception as error:  # a precision that this device does not have is no failure
            checks.append(Check(name, f"refused: {error}"))
    return checks


def speed(bench: Bench) -> list[Check]:
    """Time of a small and a large picture, with the style prepared, from tensor to tensor and from picture to picture."""
    checks = []
    gpu = bench.device.type == "cuda"
    for size, aim in (bench.small, SECONDS_512), (bench.large, SECONDS_4096):
        content, style = PAIRS[0]
        picture = bench.content(content, size)
        stylizer = bench.stylizer(size, style)
        spent: list[float] = []
        stylizer.apply = clocked(bench, stylizer.apply, spent)  # type: ignore[method-assign]
        whole = bench.seconds(
            lambda own=stylizer, content=picture: own.render(content), bench.repeat if size <= 512 else 3
        )
        seconds = statistics.median(spent[1:])
        comparable = gpu and size in (512, 4096)
        checks.append(
            Check(
                f"{size} x {size}, style prepared",
                f"{1000 * seconds:.0f} ms; {1000 * whole:.0f} ms with the conversion of the picture",
                f"at most {1000 * aim:.0f} ms on an H100" if size in (512, 4096) else "",
                seconds <= aim if comparable and "H100" in name_of(bench.device) else None,
            )
        )
        checks.append(peak_of(bench, f"{size} x {size}", lambda own=stylizer, content=picture: own.render(content)))
    return checks


def clocked(bench: Bench, work: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The same work, whose seconds go into a list."""

    def timed(*arguments: Any, **named: Any) -> Any:
        bench.synchronise()
        start = time.perf_counter()
        result = work(*arguments, **named)
        bench.synchronise()
        spent.append(time.perf_counter() - start)
        return result

    return timed


def peak_of(bench: Bench, name: str, work: Callable[[], object]) -> Check:
    """The most memory of the GPU that a picture takes, and whether all of it is given back."""
    if bench.device.type != "cuda":
        return Check(f"memory of {name}", f"not checked: {bench.device.type} does not tell its peak")
    import torch

    torch.cuda.reset_peak_memory_stats(bench.device)
    before = torch.cuda.memory_allocated(bench.device)
    work()
    peak, after = torch.cuda.max_memory_allocated(bench.device), torch.cuda.memory_allocated(bench.device)
    kept = after - before
    result = f"{peak / 2**20:.0f} MiB at the peak, {kept / 2**20:.1f} MiB kept after it"
    return Check(f"memory of {name}", result, "nothing kept", kept <= 2**20)


def synchronisations(bench: Bench) -> list[Check]:
    """Where the CPU waits for the GPU while a picture is made."""
    if bench.device.type != "cuda":
        return [Check("synchronisations", f"not checked: only CUDA tells them, this is {bench.device.type}")]
    import torch

    content, style = PAIRS[0]
    picture, stylizer = bench.content(content, bench.small), bench.stylizer(bench.small, style)
    stylizer.render(picture)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            stylizer.render(picture)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    places = Counter(
        f"{Path(warning.filename).name}:{warning.lineno}" for warning in caught if "synchroniz" in str(warning.message)
    )
    most = ", ".join(f"{place} {count}x" for place, count in places.most_common(12))
    # the input that is copied to the GPU and the result that is copied back each wait once
    return [Check("synchronisations of a picture", f"{places.total()}: {most}", "only those of input and result")]


def shortage(bench: Bench) -> list[Check]:
    """With little memory a large picture is made in smaller parts, or refused in one line."""
    if bench.device.type != "cuda":
        return [
            Check("a shortage of memory", f"not checked: only CUDA can be given less memory, not {bench.device.type}")
        ]
    import torch

    from styleshuffle import StyleShuffleError

    content, style = PAIRS[0]
    size = 2048 if bench.large > 1024 else bench.large
    picture, stylizer = bench.content(content, size), bench.stylizer(size, style)
    expected = stylizer.render(picture)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(bench.device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, LITTLE_MEMORY / total), bench.device)
    name = f"{size} x {size} in {LITTLE_MEMORY // 2**30} GiB of the GPU"
    try:
        alike = decibels(bench.stylizer(size, style).render(picture), expected)
        return [Check(name, f"made, {alike:.1f} dB", f"at least {LEAST_DB:.0f} dB, or refused", alike >= LEAST_DB)]
    except StyleShuffleError as error:
        return [Check(name, f"refused: {error}", "made, or refused in one line", "\n" not in str(error))]
    except Exception as error:
        said = str(error).splitlines()[0]
        return [Check(name, f"{type(error).__name__}: {said}", "made, or refused in one line", False)]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)


CHECKS = (agreement, speed, synchronisations, precisions, shortage)


# ---------------------------------------------------------------------------------------------------------- the report


def name_of(device: torch.device) -> str:
    """What the device calls itself."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def run(device: str, quick: bool) -> tuple[dict[str, Any], list[Check]]:
    """All checks on a device; each is shown as soon as it is known."""
    import torch

    bench, start = Bench(device, quick), time.perf_counter()
    checks = []
    for check in CHECKS:
        try:
            done = check(bench)
        except Exception as error:  # the other checks still tell something
            done = [Check(check.__name__, f"{type(error).__name__}: {error}", passed=False)]
        for result in done:
            print(line_of(result), flush=True)
        checks += done
    facts = {
        "device": name_of(bench.device),
        "torch": torch.__version__,
        "quick": quick,
        "seconds": time.perf_counter() - start,
        "command": f"python benchmarks/gpu.py --device {device}{' --quick' if quick else ''}",
    }
    return facts, checks


def line_of(check: Check) -> str:
    verdict = {True: "ok  ", False: "FAIL", None: "    "}[check.passed]
    aim = f" ({check.aim})" if check.aim else ""
    return f"{verdict} {check.name}: {check.result}{aim}"


def section(facts: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What docs/performance.md says of the checks."""
    from pages import table

    lines = [
        [row["name"], row["result"], row["aim"], {True: "yes", False: "**no**", None: ""}[row["passed"]]] for row in rows
    ]
    said = f"On {facts['device']}, torch {facts['torch']}. Measured by `{facts['command']}`, {facts['seconds']:.0f} s."
    return f"{said}\n\n{table(['Check', 'Result', 'Aim', 'Reached'], lines)}"


def default_device() -> str | None:
    """The GPU of this machine; None without one."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def main() -> None:
    parser = argparse.ArgumentParser(description="Check all that a GPU must do.")
    parser.add_argument("--device", help="cuda, cuda:1, mps; cpu rehearses the checks; default: the GPU of this machine")
    parser.add_argument("--quick", action="store_true", help="small pictures, few runs")
    parser.add_argument("--json", type=Path, help="write the results into this file too")
    parser.add_argument("--from-json", type=Path, help="do not check; take the results of this file")
    parser.add_argument("--out", type=Path, help="folder of performance.json, for the page in docs")
    options = parser.parse_args()
    if options.from_json:
        said = json.loads(options.from_json.read_text(encoding="utf-8"))
        facts, rows = said["facts"], said["checks"]
    else:
        device = options.device or default_device()
        if device is None:
            parser.error("this machine has no GPU, so nothing can be checked; --device cpu --quick rehearses the checks")
        facts, checks = run(device, options.quick)
        rows = [asdict(check) for check in checks]
        print(f"{facts['device']}, torch {facts['torch']}: {facts['seconds']:.0f} s")
        if options.json:
            options.json.write_text(json.dumps({"facts": facts, "checks": rows}, indent=1), encoding="utf-8")
    if options.out:
        from performance import record

        record(options.out, "gpu", facts, rows)
    sys.exit(1 if any(row["passed"] is False for row in rows) else 0)


if __name__ == "__main__":
    main()
