"""Read and write pictures.

`read` turns a file, a stream, a Pillow image, a tensor or an array into a `Picture`: upright sRGB pixels and, where
the source has one, its alpha channel. `write` puts a picture into a file in one step that either succeeds or changes
nothing. A picture that cannot be read or written is refused with a one-line `PictureError`.

torch is imported only where a tensor is made, so that importing this room stays fast.
"""

from ..settings import MAX_PIXELS
from .animation import Animation, read_frames, write_frames
from .arrays import from_result, to_pil
from .embedding import read_recipe
from .formats import ANIMATED, READABLE, WRITABLE
from .limits import size_of
from .masks import Regions, read_regions, read_strength
from .picture import Picture, fit_size
from .reading import read
from .save_options import SaveOptions
from .writing import check_target, write

__all__ = [
    "ANIMATED",
    "MAX_PIXELS",
    "READABLE",
    "WRITABLE",
    "Animation",
    "Picture",
    "Regions",
    "SaveOptions",
    "check_target",
    "fit_size",
    "from_result",
    "read",
    "read_frames",
    "read_recipe",
    "read_regions",
    "read_strength",
    "size_of",
    "to_pil",
    "write",
    "write_frames",
]
