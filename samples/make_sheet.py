"""Make results/sheet.jpg: three of the photographs in five of the styles, with the default settings at 512 pixels.

python samples/make_sheet.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from styleshuffle import Stylizer

HERE = Path(__file__).resolve().parent
CONTENTS = ("astronaut", "cat", "coffee")
STYLES = ("swirling_night", "autumn_avenue", "stained_glass", "pen_engraving", "watercolour_lake")
MADE, SHOWN = 512, 256  # side of a picture


def square(kind: str, name: str) -> Image.Image:
    with Image.open(HERE / kind / f"{name}.jpg") as picture:
        return ImageOps.fit(picture.convert("RGB"), (MADE, MADE), Image.Resampling.LANCZOS)


def main() -> None:
    """Contents go down the left, styles along the top."""
    page = Image.new("RGB", (SHOWN * (len(STYLES) + 1), SHOWN * (len(CONTENTS) + 1)), "white")

    def put(picture: Image.Image, column: int, row: int) -> None:
        page.paste(picture.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS), (column * SHOWN, row * SHOWN))

    for row, content in enumerate(CONTENTS, start=1):
        put(square("content", content), 0, row)
    for column, style in enumerate(STYLES, start=1):
        put(square("style", style), column, 0)
        stylizer = Stylizer().set_style(square("style", style))
        for row, content in enumerate(CONTENTS, start=1):
            put(stylizer.stylize(square("content", content)), column, row)
    page.save(HERE / "results" / "sheet.jpg", quality=90)


if __name__ == "__main__":
    main()
