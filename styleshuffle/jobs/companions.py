"""What goes along with each content of a job: its masks, and the recipe of its result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import PictureError
from ..images import READABLE, SaveOptions
from ..recipes import Ingredient, Recipe, ingredient

DEFAULTS = SaveOptions()
STREAM = "-"
"""The name of a content that comes from standard input."""


@dataclass(frozen=True)
class Companions:
    """Where to look for what goes along with a content.

    Attributes:
        folder: that the contents lie in; None for a single picture.
        mask, strength_mask: a mask for all contents, or a folder of masks that have the names of the contents.
        recipe: of all results, with any content in it; None writes no recipe.
        saving: how results are written.
    """

    folder: Path | None = None
    mask: Path | None = None
    strength_mask: Path | None = None
    recipe: Recipe | None = None
    saving: SaveOptions = DEFAULTS

    def masks_of(self, content: str) -> dict[str, Any]:
        """The masks of a content, as arguments of `Stylizer.render`.

        Raises:
            PictureError: a folder holds no mask of this name.
        """
        named = {"mask": self.mask, "strength_mask": self.strength_mask}
        return {name: self._partner(content, masks) for name, masks in named.items() if masks is not None}

    def recipe_of(self, content: str, masks: dict[str, Path]) -> str | None:
        """The recipe of a content's result, as text."""
        if self.recipe is None:
            return None
        files = tuple((name, ingredient(path)) for name, path in masks.items())
        own = Ingredient(STREAM) if content == STREAM else ingredient(content)
        return replace(self.recipe, content=own, files=(*files, *self.recipe.files)).to_json()

    def _partner(self, content: str, masks: Path) -> Path:
        """The mask of a content: in a folder, that of its name, whatever its suffix."""
        if not masks.is_dir():
            return masks
        name = Path(content).relative_to(self.folder) if self.folder is not None else Path(Path(content).name)
        near = (masks / name).parent
        fitting = [near / name.name] if (near / name.name).is_file() else sorted(near.glob(_literal(name.stem) + ".*"))
        for path in fitting:
            if path.suffix.lower() in READABLE and path.is_file():
                return path
        raise PictureError(f"{content}: there is no mask of this name in {masks}; put {name.stem}.png there")


NO_COMPANIONS = Companions()


def _literal(name: str) -> str:
    """A pattern that matches this name only."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
