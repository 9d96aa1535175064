"""The Python interface with the bundled networks: sizes, kinds of pictures, knobs, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import picture, sample_image, sample_tensor
from PIL import Image, ImageChops, ImageStat

import styleshuffle
from styleshuffle import Progress, Settings, SettingsError, Stylizer
from styleshuffle.errors import MemoryShortage, PictureError
from styleshuffle.evaluation.measures import measure
from styleshuffle.images import read
from styleshuffle.memory import resident_memory


@pytest.fixture(scope="session")
def content() -> Image.Image:
    return sample_image("content/cat.jpg", (96, 72))


@pytest.fixture(scope="session")
def style() -> Image.Image:
    return sample_image("style/swirling_night.jpg", (96, 80))


@pytest.fixture(scope="session")
def stylizer(style: Image.Image) -> Stylizer:
    return Stylizer(device="cpu").set_style(style)


def with_settings(style: Image.Image, **settings: object) -> Stylizer:
    return Stylizer(device="cpu", **settings).set_style(style)


def psnr(one: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    return float(-10 * np.log10(np.square(difference / 255).mean()))


# ------------------------------------------------------------------------------------------------ sizes and kinds


@pytest.mark.parametrize("size", [(97, 71), (32, 32), (32, 400), (401, 33), (64, 1), (5, 90), (8, 8), (1, 1)])
def test_the_result_has_the_contents_size(stylizer: Stylizer, size: tuple[int, int]) -> None:
    result = stylizer.stylize(sample_image("content/coffee.jpg", size))
    assert (result.size, result.mode) == (size, "RGB")


@pytest.mark.parametrize("size", [(400, 20), (20, 400), (33, 35), (9, 7), (1, 1)])
def test_styles_of_any_size_and_shape_serve(content: Image.Image, size: tuple[int, int]) -> None:
    result = with_settings(sample_image("style/byzantine_mosaic.jpg", size)).stylize(content.resize((40, 32)))
    assert result.size == (40, 32)


@pytest.mark.parametrize(("long_side", "expected"), [(48, (48, 36)), (120, (120, 90)), (33, (33, 25))])
def test_size_sets_the_long_side(
    content: Image.Image, style: Image.Image, long_side: int, expected: tuple[int, int]
) -> None:
    assert with_settings(style, size=long_side).stylize(content).size == expected


def test_results_larger_than_the_work_size_are_enlarged(content: Image.Image, style: Image.Image) -> None:
    result = with_settings(style, work_size=48).stylize(content)
    small = with_settings(style, size=48).stylize(content)
    assert result.size == content.size and small.size == (48, 36)
    assert psnr(result, small.resize(content.size, Image.Resampling.BICUBIC)) > 25


def test_alpha_is_kept(stylizer: Stylizer, content: Image.Image) -> None:
    alpha = Image.fromarray(np.linspace(128, 255, 72 * 96).reshape(72, 96).astype(np.uint8))
    picture = content.copy()
    picture.putalpha(alpha)
    result = stylizer.stylize(picture)
    assert result.mode == "RGBA"
    assert result.getchannel("A").tobytes() == alpha.tobytes()
    assert result.convert("RGB").tobytes() == stylizer.stylize(content).tobytes()


def test_greyscale_is_stylized_in_the_styles_colours(stylizer: Stylizer, content: Image.Image) -> None:
    grey = content.convert("L")
    result = stylizer.stylize(grey)
    assert (result.size, result.mode) == (grey.size, "RGB")
    assert result.tobytes() == stylizer.stylize(grey.convert("RGB")).tobytes()
    spread = np.asarray(result, dtype=int)
    assert float((spread.max(2) - spread.min(2)).mean()) > 5


def test_all_kinds_of_sources_give_the_same(stylizer: Stylizer, content: Image.Image, tmp_path: Path) -> None:
    content.save(tmp_path / "content.png")
    expected = stylizer.stylize(content).tobytes()
    pixels = np.asarray(content)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    for source in (tmp_path / "content.png", str(tmp_path / "content.png"), pixels, tensor, read(content)):
        assert stylizer.stylize(source).tobytes() == expected


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_pictures_of_one_colour_give_pictures(content: Image.Image, style: Image.Image, grey: int) -> None:
    flat = Image.new("RGB", (64, 48), (grey, grey, grey))
    small = content.resize((64, 48))
    assert with_settings(style).stylize(flat).size == (64, 48)
    coloured = np.asarray(with_settings(flat, strength=1).stylize(small), dtype=float)  # raises where there is a NaN
    assert np.abs(coloured.mean((0, 1)) - grey).max() < 60


# --------------------------------------------------------------------------------------------------------- repeating


def test_the_same_call_gives_the_same_bytes(stylizer: Stylizer, content: Image.Image, style: Image.Image) -> None:
    expected = stylizer.stylize(content).tobytes()
    assert stylizer.stylize(content).tobytes() == expected
    assert styleshuffle.stylize(content, style, device="cpu").tobytes() == expected


def test_another_seed_gives_another_picture(stylizer: Stylizer, content: Image.Image, style: Image.Image) -> None:
    pictures = {stylizer.stylize(content).tobytes()}
    for seed in (1, 2):
        found = with_settings(style, seed=seed).stylize(content).tobytes()
        assert found == with_settings(style, seed=seed).stylize(content).tobytes()
        pictures.add(found)
    assert len(pictures) == 3


def test_the_last_style_set_counts(stylizer: Stylizer, content: Image.Image, style: Image.Image) -> None:
    expected = stylizer.stylize(content).tobytes()
    own = with_settings(sample_image("style/pen_engraving.jpg", (96, 80)))
    assert own.stylize(content).tobytes() != expected
    assert own.set_style(style).stylize(content).tobytes() == expected


def test_contents_of_other_sizes_in_between_change_nothing(stylizer: Stylizer, content: Image.Image) -> None:
    expected = stylizer.stylize(content).tobytes()
    for side in (40, 48, 56, 64, 72):  # more sizes of the style than are kept
        stylizer.stylize(content.resize((side, side)))
    assert stylizer.stylize(content).tobytes() == expected


# ------------------------------------------------------------------------------------------------------------- knobs


def test_strength_0_gives_the_content_back(content: Image.Image, style: Image.Image) -> None:
    result = with_settings(style, strength=0).stylize(content)
    assert psnr(result, content) > 20
    assert psnr(with_settings(style, strength=1).stylize(content), content) < psnr(result, content) - 3


@pytest.mark.parametrize("name", ["swirling_night.jpg", "pen_engraving.jpg", "byzantine_mosaic.jpg"])
def test_strength_goes_from_content_to_style(stylizer: Stylizer, content: Image.Image, name: str) -> None:
    style = sample_image(f"style/{name}", (96, 80))
    original, patterns = read(content).tensor(), read(style).tensor()
    found = []
    for strength in (0, 0.5, 1):
        result = read(with_settings(style, strength=strength).stylize(content)).tensor()
        found.append(measure(stylizer.encoder, result, original, patterns))
    assert found[0].gram > max(found[1].gram, found[2].gram)  # near its least at half strength in so small a picture
    assert found[0].coherence > found[2].coherence
    assert found[0].cfsd < found[1].cfsd < found[2].cfsd
    assert found[2].swd < found[0].swd


@pytest.mark.parametrize("levels", [(4,), (4, 3), (4, 3, 2), (3, 2), (2, 1), (1,)])
def test_any_run_of_levels_works(content: Image.Image, style: Image.Image, levels: tuple[int, ...]) -> None:
    assert with_settings(style, levels=levels).stylize(content).size == content.size


@pytest.mark.parametrize(
    "settings",
    [
        {"usage_penalty": 10},
        {"style_scale": 0.5},
        {"patch_sizes": (5, 1, 3, 3)},
        {"turns": (3, 2, 2)},
        {"levels": (3, 2)},
        {"palette": 1},
        {"colours": "content"},
        {"colours": "luminance"},
        {"evening": 0.5},
        {"tone": 0.0},
        {"noise": 0.0},
        {"contiguity": 0.0},
        {"brushwork": 0.0},
        {"flat_weights": (0.2, 0.2, 0.2, 0.2)},
        {"refine": 1},
    ],
)
def test_every_setting_has_an_effect(
    stylizer: Stylizer, content: Image.Image, style: Image.Image, settings: dict[str, object]
) -> None:
    assert with_settings(style, **settings).stylize(content).tobytes() != stylizer.stylize(content).tobytes()


def test_the_palette_acts_without_recolouring_too(content: Image.Image, style: Image.Image) -> None:
    without, full = (with_settings(style, recolour=False, palette=palette).stylize(content) for palette in (0, 1))
    assert without.tobytes() != full.tobytes()


def test_an_optimizer_that_would_do_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="optimizer: nothing is optimised"):
        Stylizer(refine=0, optimizer="lbfgs", device="cpu")
    Stylizer(refine=1, optimizer="lbfgs", device="cpu")


def test_previews_get_finer_and_follow_the_picture(stylizer: Stylizer, content: Image.Image) -> None:
    previews: list[tuple[str, Image.Image]] = []

    def show(progress: Progress) -> None:
        preview = progress.preview(48)
        assert preview is not None
        previews.append((progress.stage, preview))

    result = stylizer.stylize(content, show)
    assert result.tobytes() == stylizer.stylize(content).tobytes()  # previews change nothing
    result = result.resize((48, 48))
    assert {stage for stage, _ in previews} == {"relu4_1", "relu3_1", "relu2_1", "relu1_1", "decode", "refine"}
    assert all(24 <= max(preview.size) <= 56 for _, preview in previews)
    first, last = (
        ImageStat.Stat(ImageChops.difference(previews[index][1].resize((48, 48)), result)) for index in (0, -1)
    )
    assert sum(last.mean) < sum(first.mean)


def test_results_keep_the_depth_of_the_content(style: Image.Image) -> None:
    deep = np.linspace(0, 1, 64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)
    picture = with_settings(style).render(deep)
    assert picture.bits == 16 and picture.rgb.dtype == np.float32
    assert with_settings(style).render((deep * 255).astype(np.uint8)).bits == 8


# ------------------------------------------------------------------------------------------------------------- masks


def half_mask(size: tuple[int, int]) -> Image.Image:
    """Black on the left, white on the right."""
    mask = Image.new("L", size, 0)
    mask.paste(255, (size[0] // 2, 0, *size))
    return mask


def test_black_of_a_strength_mask_keeps_the_photograph_and_white_the_whole_style(
    stylizer: Stylizer, content: Image.Image
) -> None:
    result = np.asarray(stylizer.stylize(content, strength_mask=half_mask(content.size)))
    assert (result[:, :48] == np.asarray(content)[:, :48]).all()
    assert (result[:, 48:] != np.asarray(content)[:, 48:]).any(2).mean() > 0.9


def test_a_white_strength_mask_changes_no_byte(stylizer: Stylizer, content: Image.Image) -> None:
    white = Image.new("L", content.size, 255)
    assert stylizer.stylize(content, strength_mask=white).tobytes() == stylizer.stylize(content).tobytes()


def test_grey_is_a_lower_strength_and_no_mixture_of_two_pictures(content: Image.Image, style: Image.Image) -> None:
    grey = Image.new("L", content.size, 153)  # 60 % of strength 0.8
    masked = with_settings(style, strength=0.8).stylize(content, strength_mask=grey)
    low, full = (with_settings(style, strength=strength).stylize(content) for strength in (0.48, 0.8))
    assert psnr(masked, low) > psnr(full, low) + 5


def test_a_strength_mask_holds_in_an_enlarged_result(content: Image.Image, style: Image.Image) -> None:
    large = with_settings(style, size=160, work_size=64)
    result = np.asarray(large.stylize(content, strength_mask=half_mask(content.size)))
    original = np.asarray(content.resize((160, 120), Image.Resampling.LANCZOS))
    assert (result[:, :77] == original[:, :77]).all() and (result[:, 84:] != original[:, 84:]).any(2).mean() > 0.9


def test_a_strength_mask_of_another_size_serves(stylizer: Stylizer, content: Image.Image) -> None:
    result = np.asarray(stylizer.stylize(content, strength_mask=half_mask((48, 36))))
    assert (result[:, :46] == np.asarray(content)[:, :46]).all()


def test_a_strength_mask_keeps_the_photograph_of_the_results_size(style: Image.Image, content: Image.Image) -> None:
    small = with_settings(style, size=48)
    result = np.asarray(small.stylize(content, strength_mask=half_mask(content.size)))
    assert (result[:, :22] == np.asarray(content.resize((48, 36), Image.Resampling.LANCZOS))[:, :22]).all()


def test_a_strength_mask_of_another_shape_is_refused(stylizer: Stylizer, content: Image.Image, tmp_path: Path) -> None:
    half_mask((96, 96)).save(tmp_path / "mask.png")
    with pytest.raises(PictureError, match=r"mask\.png: is 96 x 96, but its picture is 96 x 72; make"):
        stylizer.stylize(content, strength_mask=tmp_path / "mask.png")


# ---------------------------------------------------------------------------------------------------------- progress


def test_progress_rises_to_1_and_names_its_stages(stylizer: Stylizer, content: Image.Image) -> None:
    steps: list[Progress] = []
    result = stylizer.stylize(content, steps.append)
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(set(fractions)) and fractions[0] > 0 and fractions[-1] == 1
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert [stage for stage in stages if stage.startswith("relu")] == ["relu4_1", "relu3_1", "relu2_1", "relu1_1"]
    assert stages[-2:] == ["decode", "refine"] and len(fractions) >= 7
    assert result.tobytes() == stylizer.stylize(content).tobytes()


def test_what_progress_raises_stops_the_work(stylizer: Stylizer, content: Image.Image) -> None:
    seen: list[Progress] = []

    def stop(step: Progress) -> None:
        seen.append(step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylizer.stylize(content, stop)
    assert len(seen) == 1


# ---------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", ["strenght", "usage_penalti", "stylescale"])
def test_an_unknown_setting_suggests_the_near_one(name: str) -> None:
    near = {"strenght": "strength", "usage_penalti": "usage_penalty", "stylescale": "style_scale"}[name]
    for arguments in ((), (Settings(),)):
        with pytest.raises(SettingsError, match=f"{name}.*did you mean {near}"):
            Stylizer(*arguments, device="cpu", **{name: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strength", 1.5),
        ("strength", -0.1),
        ("strength", float("nan")),
        ("strength", "0.5"),
        ("size", 31),
        ("size", 64.5),
        ("style_scale", 0),
        ("usage_penalty", -1),
        ("levels", (4, 2)),
        ("levels", ()),
        ("levels", (5, 4)),
        ("patch_sizes", (2, 3, 3, 3)),
        ("patch_sizes", (3,)),
        ("turns", (0, 1, 1)),
        ("seed", -1),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    for arguments in ((), (Settings(),)):
        with pytest.raises(SettingsError, match=f"^{name}: "):
            Stylizer(*arguments, device="cpu", **{name: value})


def test_settings_given_by_name_go_on_top_of_an_object() -> None:
    settings = Settings(strength=0.8, seed=4)
    assert Stylizer(settings, device="cpu", seed=5).settings == Settings(strength=0.8, seed=5)
    assert settings.seed == 4


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^device: 'toaster' is not available"):
        Stylizer(device="toaster")


def test_stylizing_without_a_style_is_refused(content: Image.Image) -> None:
    with pytest.raises(SettingsError, match="set_style"):
        Stylizer(device="cpu").stylize(content)


def test_a_style_that_cannot_be_read_leaves_the_one_before(content: Image.Image, style: Image.Image) -> None:
    own = with_settings(style)
    expected = own.stylize(content).tobytes()
    with pytest.raises(PictureError):
        own.set_style("no/such/picture.png")
    assert own.stylize(content).tobytes() == expected


def test_what_cannot_fit_in_memory_is_refused_before_it_is_begun(style: Image.Image) -> None:
    huge = with_settings(style, size=32768, work_size=32768)
    with pytest.raises(SettingsError, match="GiB"):
        huge.stylize(Image.new("RGB", (32, 32)))


def test_all_of_a_picture_must_fit_also_its_enlargement(style: Image.Image) -> None:
    huge = with_settings(style, size=32768, work_size=32, memory="8GB")
    with pytest.raises(MemoryShortage, match=r"^size: needs about 36.1 GiB more memory, but .* or raise `memory`$"):
        huge.stylize(Image.new("RGB", (32, 32)))


def test_memory_that_is_bound_by_hand_is_not_exceeded(content: Image.Image, style: Image.Image) -> None:
    held = resident_memory() or 0
    small = with_settings(style, size=512, memory=held + 100 * 2**20)
    with pytest.raises(MemoryShortage, match=r"^work_size: .* but 0.1 GiB are free; .* or raise `memory`$"):
        small.stylize(content)
    with pytest.raises(SettingsError, match=r"^memory: 'lots' is no amount of memory"):
        Stylizer(memory="lots", device="cpu")


def test_usage_penalty_goes_from_popular_patches_to_all() -> None:
    """On a real pair few style patches serve everywhere at lambda 0, and nearly all are used at lambda 1."""
    from styleshuffle.reshuffle.levels import Turn
    from styleshuffle.reshuffle.nnf import usage

    content, style = (sample_tensor(f"{name}.jpg", (256, 256)) for name in ("content/coffee", "style/stained_glass"))
    shares = []
    for usage_penalty in (0.0, 1.0):
        turns: list[Turn] = []
        stylizer = Stylizer(usage_penalty=usage_penalty, contiguity=0, tone=0, device="cpu")  # which hold against it
        stylizer.apply(content, stylizer.prepare(style), watch=turns.append)
        nnf = [turn.nnf for turn in turns if turn.level == 4][-1]
        shares.append(float((usage(nnf) > 0).float().mean()))
    assert shares[0] < 0.6
    assert shares[1] > 0.9


SOURCES = ("content", "style", "mask", "style mask", "strength mask")


@pytest.mark.parametrize("what", SOURCES)
def test_every_picture_is_read_within_the_limits(tmp_path: Path, what: str) -> None:
    small, large = picture(tmp_path / "small.png", size=(32, 32)), picture(tmp_path / "large.png", size=(64, 64))
    files = {
        name: large if name == what else small for name in ("content", "style", "mask", "style mask", "strength mask")
    }

    def run(max_pixels: int) -> None:
        stylizer = Stylizer(device="cpu", max_pixels=max_pixels)
        stylizer.set_style(files["style"], masks=files["style mask"])
        stylizer.stylize(files["content"], mask=files["mask"], strength_mask=files["strength mask"])

    run(64 * 64)
    with pytest.raises(PictureError, match=r"large\.png: .*64 x 64"):
        run(64 * 64 - 1)
