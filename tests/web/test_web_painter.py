"""The real painter: what it makes of an order is what the library makes, and a style is prepared once for all dials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import sample_image
from PIL import Image
from web_server import opened, png, serving

from styleshuffle import Progress, Settings, Stylizer
from styleshuffle.errors import StyleShuffleError
from styleshuffle.web.painter import REST, Order, OrderedStyle, Painter, check_order, preview_of
from styleshuffle.web.pictures import PictureFile, taken_in
from styleshuffle.web.refusals import Refusal


def stored(folder: Path, name: str, size: tuple[int, int]) -> PictureFile:
    path = folder / Path(name).name.replace(".jpg", ".png")
    sample_image(name, size).save(path)
    return taken_in(path, path.name, folder / f"{path.stem}.view.png")


@pytest.fixture
def order(tmp_path: Path) -> Order:
    content = stored(tmp_path, "content/cat.jpg", (96, 64))
    return Order(content, (OrderedStyle(stored(tmp_path, "style/stained_glass.jpg", (80, 64))),), Settings())


def ignore(progress: Progress) -> None:
    pass


def test_a_picture_is_what_the_library_makes(order: Order) -> None:
    order = replace(order, settings=Settings(size=80, strength=0.7))
    expected = Stylizer(order.settings, device="cpu").set_style(order.styles[0].picture.path).stylize(order.content.path)
    for quick in (False, True):  # the pictures are smaller than the view, so the preview is the same too
        assert Painter("cpu").paint(replace(order, quick=quick), ignore).pil().tobytes() == expected.tobytes()


def test_dials_do_not_pay_for_the_style_again(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[object] = []
    prepare = Stylizer.prepare
    monkeypatch.setattr(Stylizer, "prepare", lambda self, *given: prepared.append(given) or prepare(self, *given))
    painter = Painter("cpu")
    for strength in (0.2, 0.9):
        settings = Settings(strength=strength, seed=round(10 * strength))
        made = painter.paint(preview_of(replace(order, settings=settings), 64), ignore)
        fresh = Stylizer(replace(settings, size=64), device="cpu").set_style(order.styles[0].picture.path)
        assert made.pil().tobytes() == fresh.stylize(order.content.path).tobytes()
    assert len(prepared) == 1 + 2  # the painter's, and those of the two fresh stylizers


def test_a_strength_mask_keeps_the_photograph_where_it_is_black(order: Order, tmp_path: Path) -> None:
    mask = Image.new("L", (96, 64), "white")
    mask.paste("black", (0, 0, 40, 64))
    mask.save(tmp_path / "mask.png")
    masked = replace(
        order, strength_mask=taken_in(tmp_path / "mask.png", "mask.png", tmp_path / "mask.view.png"), quick=True
    )
    with Image.open(order.content.path) as photograph:
        painted = Painter("cpu").paint(masked, ignore).pil()
        assert painted.crop((0, 0, 40, 64)).tobytes() == photograph.crop((0, 0, 40, 64)).tobytes()
        assert painted.crop((40, 0, 96, 64)).tobytes() != photograph.crop((40, 0, 96, 64)).tobytes()


def test_several_styles_and_regions_are_those_of_the_library(order: Order, tmp_path: Path) -> None:
    halves = {}
    for name, size in ("content", (96, 64)), ("style", (80, 64)):
        mask = Image.new("RGB", size, REST)
        mask.paste("red", (0, 0, size[0] // 2, size[1]))
        mask.save(tmp_path / f"{name}.mask.png")
        halves[name] = taken_in(tmp_path / f"{name}.mask.png", f"{name}.mask.png", tmp_path / f"{name}.mask.view.png")
    other = OrderedStyle(stored(tmp_path, "style/pen_engraving.jpg", (80, 64)))  # without a mask of its own
    styles = replace(order.styles[0], regions=halves["style"]), other
    settings = Settings(style_weights=(3.0, 1.0))
    mixed = replace(order, styles=styles, settings=settings, regions=halves["content"])
    Image.new("RGB", (80, 64), REST).save(tmp_path / "rest.png")
    stylizer = Stylizer(settings, device="cpu")
    masks = [halves["style"].path, tmp_path / "rest.png"]
    stylizer.set_style([style.picture.path for style in styles], masks=masks)
    expected = stylizer.stylize(order.content.path, mask=halves["content"].path).tobytes()
    painter = Painter("cpu")
    assert painter.paint(replace(mixed, quick=True), ignore).pil().tobytes() == expected
    assert painter.paint(replace(mixed, quick=True, regions=None), ignore).pil().tobytes() != expected
    with pytest.raises(StyleShuffleError, match="region of the colour #ff0000"):
        painter.paint(replace(mixed, styles=(order.styles[0], other)), ignore)


@pytest.mark.parametrize("change", [{}, {"optimizer": "adam", "refine": 2}], ids=["by network", "by gradient"])
def test_a_preview_within_a_step_of_a_final_picture_changes_neither(order: Order, change: dict[str, object]) -> None:
    final = replace(order, settings=Settings(strength=0.8, **change))  # type: ignore[arg-type]
    preview = preview_of(replace(order, settings=Settings(strength=0.3, **change)), 64)  # type: ignore[arg-type]
    painter, within = Painter("cpu"), []

    def paint_preview(progress: Progress) -> None:
        within.append(painter.paint(preview, ignore).pil().tobytes())

    painted = painter.paint(final, paint_preview).pil().tobytes()
    assert painted == Painter("cpu").paint(final, ignore).pil().tobytes()
    assert set(within) == {Painter("cpu").paint(preview, ignore).pil().tobytes()} and len(within) > 5


def test_only_a_few_styles_are_kept(order: Order, tmp_path: Path) -> None:
    painter = Painter("cpu")
    names = ("stained_glass", "pen_engraving", "watercolour_lake", "swirling_night")
    for name in names:
        style = OrderedStyle(stored(tmp_path, f"style/{name}.jpg", (48, 40)))
        painter.paint(preview_of(replace(order, styles=(style,)), 48), ignore)
    assert len(painter._kept) == 2
    painter.paint(replace(order, settings=Settings(size=64)), ignore)
    assert len(painter._kept) == 2  # a picture in full size keeps nothing


def test_a_preview_is_never_larger_than_the_picture(order: Order) -> None:
    assert preview_of(order, 384).settings.size == 96
    assert preview_of(order, 64).settings.size == 64
    assert preview_of(replace(order, settings=Settings(size=500)), 384).settings.size == 384


def test_what_the_library_cannot_paint_is_refused() -> None:
    check_order(1, False, False)
    for given in ((0, False, False), (65, False, False)):
        with pytest.raises(Refusal, match="styles: there are"):
            check_order(*given)


def test_the_whole_way_from_a_form_to_a_picture() -> None:
    with serving(Painter("cpu")) as server:
        files = {name: (f"{name}.png", png(sample_image(path, (64, 48)))) for name, path in PICTURES.items()}
        answer = server.http.post("/api/paint", files=files, data={"strength": "0.6"})
        assert answer.status_code == 200
        stylizer = Stylizer(strength=0.6, device="cpu").set_style(sample_image(PICTURES["style"], (64, 48)))
        expected = stylizer.stylize(sample_image(PICTURES["content"], (64, 48)))
        assert opened(answer.content).tobytes() == expected.tobytes()
        photo, style = (server.send(sample_image(path, (64, 48))) for path in PICTURES.values())
        id = server.start([photo], [style], kind="preview", page="a").json()["id"]
        stages = [data["stage"] for name, data in server.events(id) if name == "state"]
        assert stages[-1] == "refine"


PICTURES = {"content": "content/coffee.jpg", "style": "style/watercolour_lake.jpg"}
