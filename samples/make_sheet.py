"""Make the pictures of the README, at 512 pixels with the default settings.

    python samples/make_sheet.py

results/sheet.jpg shows three of the photographs in five of the styles; results/strength.jpg shows one photograph in one
style at six strengths.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from styleshuffle import Stylizer

HERE = Path(__file__).resolve().parent
CONTENTS = ("astronaut", "cat", "coffee")
STYLES = ("swirling_night", "autumn_avenue", "stained_glass", "pen_engraving", "watercolour_lake")
STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MADE, SHOWN = 512, 256  # side of a picture


def square(kind: str, name: str) -> Image.Image:
    with Image.open(HERE / kind / f"{name}.jpg") as picture:
        return ImageOps.fit(picture.convert("RGB"), (MADE, MADE), Image.Resampling.LANCZOS)


def put(page: Image.Image, picture: Image.Image, column: int, row: int) -> None:
    """Paste a picture into a place of a page of pictures."""
    page.paste(picture.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS), (column * SHOWN, row * SHOWN))


def sheet() -> Image.Image:
    """Contents go down the left, styles along the top."""
    page = Image.new("RGB", (SHOWN * (len(STYLES) + 1), SHOWN * (len(CONTENTS) + 1)), "white")
    for row, content in enumerate(CONTENTS, start=1):
        put(page, square("content", content), 0, row)
    for column, style in enumerate(STYLES, start=1):
        put(page, square("style", style), column, 0)
        stylizer = Stylizer().set_style(square("style", style))
        for row, content in enumerate(CONTENTS, start=1):
            put(page, stylizer.stylize(square("content", content)), column, row)
    return page


def strength_strip() -> Image.Image:
    """A row with a picture for each strength."""
    page = Image.new("RGB", (SHOWN * len(STRENGTHS), SHOWN), "white")
    for column, strength in enumerate(STRENGTHS):
        stylizer = Stylizer(strength=strength).set_style(square("style", "swirling_night"))
        put(page, stylizer.stylize(square("content", "astronaut")), column, 0)
    return page


def main() -> None:
    for name, make in ("sheet", sheet), ("strength", strength_strip):
        make().save(HERE / "results" / f"{name}.jpg", quality=90)


if __name__ == "__main__":
    main()
