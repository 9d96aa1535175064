"""Neural style transfer by deep feature reshuffle.

>>> import styleshuffle
>>> picture = styleshuffle.stylize("content.jpg", "style.jpg", strength=0.8)  # a PIL image

See `Stylizer` for many contents with one style, and `Settings` for what can be set.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, whose import takes time
if TYPE_CHECKING:
    from .errors import PictureError, SettingsError, StyleShuffleError, WeightsError
    from .progress import Progress
    from .settings import Settings
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

_PLACES = {
    "PictureError": "errors",
    "Progress": "progress",
    "Settings": "settings",
    "SettingsError": "errors",
    "StyleShuffleError": "errors",
    "Stylizer": "stylizer",
    "WeightsError": "errors",
    "stylize": "stylizer",
}  # imported when they are used: torch takes seconds, and a command takes Ctrl-C before it imports anything slow


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
