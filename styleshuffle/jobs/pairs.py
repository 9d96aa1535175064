"""Pair the outputs of a folder with the contents and styles that they were made from."""

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
    """An output, with the content and the style that it was made from.

    Attributes:
        name: of the output, relative to its folder.
    """

    name: str
    output: Path
    content: Path
    style: Path


def match_folders(output: Path, content: Path, style: Path) -> list[Triple]:
    """Pair outputs with their contents and styles, sorted. In folders, pictures of the same name belong together.

    Args:
        output: a picture, or a folder of pictures.
        content: a picture, or the folder that the outputs were made from.
        style: a picture; or a folder that holds a single style for all outputs, or a style for each output.

    Raises:
        SettingsError: the folders do not match.
        PictureError: a folder is empty, or cannot be listed.
    """
    if not output.is_dir():
        return [Triple(str(output), output, content, style)]
    if not content.is_dir():
        raise SettingsError(f"content: {content} is no folder, but OUTPUT is; name the folder that it was made from")
    styles = _listed(style) if style.is_dir() else [style]
    # a style may lie among the contents or the outputs; it has no partner there
    left_out = {identity(path) for path in styles}
    outputs = _listed(output, without=content)
    contents = _match(output, outputs, content, _listed(content, without=output), "content", left_out)
    outputs = [path for path in outputs if path in contents]
    single = dict.fromkeys(outputs, styles[0])
    partners = single if len(styles) == 1 else _match(output, outputs, style, styles, "style")
    return [Triple(str(path.relative_to(output)), path, contents[path], partners[path]) for path in outputs]


def _listed(folder: Path, without: Path | None = None) -> list[Path]:
    """The pictures in a folder, as `styleshuffle` lists them, without those in the folder `without`."""
    unlisted: list[tuple[Path, str]] = []
    pictures = list(pictures_in(folder, without, unlisted))
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
    """For each output the picture of the same name in the other folder. Only files in `left_out` need no partner."""
    names = [path.relative_to(folder) for path in others]
    results = dict(zip(target_names(names), others, strict=True))  # the names that `styleshuffle` gives to results
    stems = {name.with_suffix(""): path for name, path in zip(names, others, strict=True)}
    matched = {}
    for path in outputs:
        name = path.relative_to(output)
        partner = results.get(name) or stems.get(name.with_suffix(""))
        if partner is not None:
            matched[path] = partner
    used = set(matched.values())
    unmatched = [path for path in outputs if path not in matched and identity(path) not in left_out]
    unused = [path for path in others if path not in used and identity(path) not in left_out]
    for paths, kind, missing, place in (unmatched, "output", what, folder), (unused, what, "output", output):
        if paths:
            reason = f"no {missing} of this name in {place} ({counted(paths, f'such {kind}')})"
            raise SettingsError(f"{paths[0]}: {reason}; pictures that belong together need the same name")
    return matched


def counted(items: Sequence[object], what: str) -> str:
    """A number of things in words: "1 output", "3 outputs"."""
    return f"{len(items)} {what}{'s' * (len(items) != 1)}"
