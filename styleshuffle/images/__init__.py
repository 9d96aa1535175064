"""Read and write pictures.

`read` turns a file, a stream, a Pillow image, a tensor or an array into a `Picture`: upright sRGB pixels and, where
the source has one, its alpha channel. `write` puts a picture into a file in one step that either succeeds or changes
nothing. A picture that cannot be read or written is refused with a one-line `PictureError`.

torch is imported only where a tensor is made, so that importing this room stays fast.
"""

from ..settings import MAX_PIXELS
from .arrays import from_result, to_pil
from .embedding import read_recipe
from .limits import size_of
from .masks import Regions, read_regions, read_strength
from .picture import Picture, fit_size
from .reading import READABLE, read
from .writing import WRITABLE, check_target, write

__all__ = [
    "MAX_PIXELS",
    "READABLE",
    "WRITABLE",
    "Picture",
    "Regions",
    "check_target",
    "fit_size",
    "from_result",
    "read",
    "read_recipe",
    "read_regions",
    "read_strength",
    "size_of",
    "to_pil",
    "write",
]
