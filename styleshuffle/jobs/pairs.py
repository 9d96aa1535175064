"""Which output belongs to which content and style, where they lie in folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import PictureError, SettingsError
from ..files import identity
from ..images import READABLE
from .names import pictures_in, target_names


@dataclass(frozen=True)
class Triple:
    """An output with what it was made from.

    Attributes:
        name: of the output, as the user knows it.
    """

    name: str
    output: Path
    content: Path
    style: Path


def match_folders(output: Path, content: Path, style: Path) -> list[Triple]:
    """What belongs together, in the order of the walk. A picture of a folder has the name of its partner.

    Args:
        output: a picture, or a folder of them.
        content: a picture, or the folder that the outputs were made from.
        style: a picture; or a folder with one style for all, or with one for each output.

    Raises:
        SettingsError: the folders do not match.
        PictureError: a folder is empty, or cannot be listed.
    """
    if not output.is_dir():
        return [Triple(str(output), output, content, style)]
    if not content.is_dir():
        raise SettingsError(f"content: {content} is no folder, but OUTPUT is; name the folder that it was made from")
    styles = _listed(style) if style.is_dir() else [style]
    # a style that lies beside the contents, or all three together, has not been made an output
    left_out = {identity(path) for path in styles}
    outputs = _listed(output, but=content)
    contents = _match(output, outputs, content, _listed(content, but=output), "content", left_out)
    outputs = [path for path in outputs if path in contents]
    single = dict.fromkeys(outputs, styles[0])
    partners = single if len(styles) == 1 else _match(output, outputs, style, styles, "style")
    return [Triple(str(path.relative_to(output)), path, contents[path], partners[path]) for path in outputs]


def _listed(folder: Path, but: Path | None = None) -> list[Path]:
    """The pictures in a folder, as `styleshuffle` lists them, without those in the folder `but`."""
    unlisted: list[tuple[Path, str]] = []
    pictures = list(pictures_in(folder, but, unlisted))
    for place, reason in unlisted:
        raise PictureError(f"{place}: the folder cannot be listed ({reason}); change its permissions")
    if not pictures:
        suffixes = ", ".join(sorted(READABLE))
        raise PictureError(f"{folder}: no picture in this folder; name a folder with {suffixes} files")
    return pictures


def _match(
    output: Path,
    outputs: Sequence[Path],
    folder: Path,
    others: Sequence[Path],
    what: str,
    left_out: Iterable[tuple[int, int] | None] = (),
) -> dict[Path, Path]:
    """For each output the picture in the other folder that has its name; only those `left_out` may be without."""
    names = [path.relative_to(folder) for path in others]
    results = dict(zip(target_names(names), others, strict=True))  # as `styleshuffle` calls them
    stems = {name.with_suffix(""): path for name, path in zip(names, others, strict=True)}
    matched = {}
    for path in outputs:
        name = path.relative_to(output)
        partner = results.get(name) or stems.get(name.with_suffix(""))
        if partner is not None:
            matched[path] = partner
    used = set(matched.values())
    alone = [path for path in outputs if path not in matched and identity(path) not in left_out]
    unused = [path for path in others if path not in used and identity(path) not in left_out]
    for lonely, missing, place, such in (alone, what, folder, "output"), (unused, "output", output, what):
        if lonely:
            reason = f"no {missing} of this name in {place} ({counted(lonely, f'such {such}')})"
            raise SettingsError(f"{lonely[0]}: {reason}; pictures that belong together need the same name")
    return matched


def counted(items: Sequence[object], what: str) -> str:
    """A number of things in words: "1 output", "3 outputs"."""
    return f"{len(items)} {what}{'s' * (len(items) != 1)}"
