"""Read damaged pictures that coverage leads to new code, until one raises something else than a `PictureError`.

    python benchmarks/guided_fuzz.py --seconds 600

Needs atheris (`pip install atheris`). The coverage is that of Python code: ours, and that of Pillow and tifffile,
which read headers, chunks, tags, metadata and profiles. Decoders in C are not seen; `fuzz.py` damages their data by
the rules of each format. It starts from the same small pictures. The exit code is 0 if nothing was raised; otherwise
the file is left in the current folder.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import click
from seed_files import seed_files

MAX_PIXELS = 4_000_000
_PACKAGES = ["styleshuffle.images", "PIL", "tifffile"]
_LONGEST = 20_000  # bytes of a file


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--seconds", default=60, type=click.IntRange(1), help="How long to go on.")
def main(seconds: int) -> None:
    try:
        import atheris
    except ImportError as error:
        raise click.UsageError("atheris is missing; install it with: pip install atheris") from error
    with atheris.instrument_imports(include=_PACKAGES):
        from styleshuffle.errors import PictureError
        from styleshuffle.images import read

    def read_one(content: bytes) -> None:
        with contextlib.suppress(PictureError):
            read(io.BytesIO(content), max_pixels=MAX_PIXELS)

    with tempfile.TemporaryDirectory() as corpus:
        for name, content in seed_files().items():
            if len(content) <= _LONGEST:
                (Path(corpus) / name).write_bytes(content)
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", f"-max_len={_LONGEST}", corpus], read_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
