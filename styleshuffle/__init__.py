"""Neural style transfer by deep feature reshuffle.

>>> import styleshuffle
>>> picture = styleshuffle.stylize("content.jpg", "style.jpg", strength=0.8)  # a PIL image

See `Stylizer` for many contents with one style, and `Settings` for what can be set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import PictureError, SettingsError, StyleShuffleError, WeightsError
from .progress import Progress
from .settings import Settings

if TYPE_CHECKING:
    from .stylizer import Stylizer, stylize

__version__ = "0.1.0"
__all__ = [
    "PictureError",
    "Progress",
    "Settings",
    "SettingsError",
    "StyleShuffleError",
    "Stylizer",
    "WeightsError",
    "__version__",
    "stylize",
]

_LAZY = {"Stylizer": "stylizer", "stylize": "stylizer"}  # these need torch: seconds to import


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
