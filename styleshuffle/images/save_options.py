"""How a picture is saved, apart from its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import SettingsError

DEPTHS = ("auto", "8", "16")
PROFILES = ("keep", "srgb")


@dataclass(frozen=True)
class SaveOptions:
    """How a picture is saved.

    Attributes:
        depth: bits a channel; "auto" keeps those of the content, as far as the format can.
        profile: "keep" gives colours in the content's own profile, and embeds it; "srgb" gives sRGB.
        strip: leave out all metadata (EXIF, XMP, IPTC, dots per inch), but not the profile.
        strip_gps: leave out where the photograph was taken.
        all_frames: stylize and write all frames of an animation, not only the first. `write` does not look at it.

    Raises:
        SettingsError: a value is unknown.
    """

    depth: Literal["auto", "8", "16"] = "auto"
    profile: Literal["keep", "srgb"] = "keep"
    strip: bool = False
    strip_gps: bool = False
    all_frames: bool = False

    def __post_init__(self) -> None:
        for name, value, choices in ("depth", self.depth, DEPTHS), ("profile", self.profile, PROFILES):
            if value not in choices:
                raise SettingsError(f"{name}: {value!r} is unknown; use one of {', '.join(choices)}")
