"""Which pictures a folder holds, and the names of their results.

Nothing here prints, writes or decodes. The names depend only on the files on the disk. So a second run gives the same
names, and can continue where the first run stopped.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path

from ..files import identity
from ..images import ANIMATED, READABLE, WRITABLE

PICTURE_LIKE = READABLE | {
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".jpx", ".jxr", ".psd", ".psb", ".xcf", ".ico", ".icns"),
    *(".tga", ".pcx", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".qoi", ".dds", ".exr", ".hdr", ".svg", ".eps", ".apng"),
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".orf", ".rw2", ".pef", ".srw"),
    *(".x3f", ".rwl", ".3fr", ".fff", ".iiq", ".mrw", ".erf", ".kdc", ".dcr", ".raw"),
}
"""Suffixes of pictures, also of kinds that cannot be read: a folder must not pass over such files without a word."""


def pictures_in(
    root: Path, left_out: Path | None, unlisted: list[tuple[Path, str]], suffixes: Container[str] = READABLE
) -> Iterator[Path]:
    """Files under a folder that have the suffix of a picture, sorted, folder by folder.

    Hidden files and folders are skipped, and so are pipes and devices, which could be waited for without end. Links to
    folders are skipped too, because they can form a circle. A broken link to a file is yielded, so that it can be
    reported.

    Args:
        left_out: a folder under `root` to skip; it need not exist.
        unlisted: receives the folders that cannot be listed, each with the reason.
        suffixes: in lower case, of the files to yield.
    """
    skipped = None if left_out is None else identity(left_out)

    def note(error: OSError) -> None:
        unlisted.append((Path(error.filename), error.strerror or str(error)))

    for folder, subfolders, files in os.walk(root, onerror=note):
        here = Path(folder)
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and (skipped is None or identity(here / name) != skipped)
        )
        for name in sorted(files):
            file = here / name
            if name.startswith(".") or file.suffix.lower() not in suffixes:
                continue
            if file.is_file() or not file.exists():
                yield file


def target_names(sources: list[Path], all_frames: bool = False) -> list[Path]:
    """The names of the results of pictures with these relative names, all different.

    A name stays the same if its suffix can be written. Otherwise the suffix becomes .png. If that name is taken, or if
    two pictures would get it, .png is appended to the whole name instead: ``a.bmp`` beside ``a.png`` becomes
    ``a.bmp.png``. Names that differ only in case count as the same, because many disks do not tell them apart.
    """
    wanted = [default_name(source, all_frames) for source in sources]
    count = Counter(_folded(name) for name in wanted)
    used = {_folded(source) for source, name in zip(sources, wanted, strict=True) if name == source}
    names = []
    for source, name in zip(sources, wanted, strict=True):
        if name != source and count[_folded(name)] > 1:
            name = source.with_name(source.name + ".png")
            number = 2
            while _folded(name) in used:
                name, number = source.with_name(f"{source.name}.{number}.png"), number + 1
        used.add(_folded(name))
        names.append(name)
    return names


def default_name(source: Path, all_frames: bool = False) -> Path:
    """The name of a picture's result: the picture's own name; a suffix that cannot be written becomes .png.

    Args:
        all_frames: animations are written too.
    """
    writable = source.suffix.lower() in WRITABLE or (all_frames and source.suffix.lower() in ANIMATED)
    return source if writable else source.with_suffix(".png")


def _folded(path: Path) -> str:
    return path.as_posix().casefold()
