"""Progress and its previews."""

from __future__ import annotations

from PIL import Image

from styleshuffle import Progress, Stylizer
from styleshuffle.networks.weights import bundled_folder


def test_without_a_picture_there_is_no_preview() -> None:
    assert Progress(0.5, "relu4_1", 4).preview() is None


def test_a_preview_is_drawn_when_it_is_asked_for_and_as_large_as_asked() -> None:
    asked: list[int] = []

    def draw(long_side: int) -> Image.Image:
        asked.append(long_side)
        return Image.new("RGB", (long_side, 8))

    progress = Progress(0.5, "decode", 0, draw)
    assert asked == []
    assert progress.preview() == Image.new("RGB", (256, 8)) and progress.preview(16) == Image.new("RGB", (16, 8))
    assert asked == [256, 16]


def test_progress_is_compared_by_what_it_says() -> None:
    assert Progress(0.5, "decode", 0, lambda side: Image.new("L", (1, 1))) == Progress(0.5, "decode", 0)
    assert Progress(0.5, "decode", 0) != Progress(0.6, "decode", 0)


def test_without_a_decoder_the_search_shows_its_picture() -> None:
    own = bundled_folder() / "encoder.safetensors"  # as a file, so that its bundled decoder is not taken
    stylizer = Stylizer(weights=own, levels=(1,), refine=0, device="cpu").set_style(Image.new("RGB", (32, 32), "red"))
    sizes: dict[str, set[object]] = {}

    def show(progress: Progress) -> None:
        preview = progress.preview(16)
        sizes.setdefault(progress.stage, set()).add(preview and preview.size)

    stylizer.stylize(Image.linear_gradient("L").resize((32, 24)), show)
    assert sizes == {"relu1_1": {None}, "inversion of relu1_1": {(16, 12)}, "decode": {(16, 12)}}
