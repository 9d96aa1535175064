"""A stand-in for the networks that inverts colours, so that tests of the commands cost milliseconds and need no torch."""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PIL import ImageOps

from styleshuffle import images
from styleshuffle.progress import Progress
from styleshuffle.settings import MAX_PIXELS, Settings


class FakeStylizer:
    """Inverts colours, and keeps book of what it was asked for."""

    made: list[FakeStylizer]
    contents: list[images.Picture]
    before: Callable[[images.Picture], None]  # called before each picture; may raise

    def __init__(self, settings: Settings, **networks: Any) -> None:
        self.settings, self.networks, self.styles, self.masks = settings, networks, [], []
        self.wished: list[dict[str, Any]] = []
        self.device = "cpu"
        self.memory, self.max_pixels = networks.get("memory"), networks.get("max_pixels", MAX_PIXELS)
        type(self).made.append(self)

    def set_style(self, style: Any, masks: Any = None) -> FakeStylizer:
        self.styles += [path if isinstance(path, images.Picture) else images.read(path) for path in style]
        self.style_masks = masks
        return self

    def with_settings(self, **overrides: Any) -> FakeStylizer:
        other = copy.copy(self)
        other.settings = replace(self.settings, **overrides)
        self.wished.append(overrides)
        return other

    @property
    def taking_part(self) -> tuple[int, ...]:
        return tuple(range(len(self.styles)))

    def render(
        self, content: images.Picture, progress: Callable[[Any], None] | None = None, **masks: Any
    ) -> images.Picture:
        self.masks.append(masks)
        type(self).contents.append(content)
        type(self).before(content)
        for fraction in (0.25, 1.0) if progress is not None else ():
            progress(Progress(fraction, "relu4_1", 4))
        image = content.pil()
        result = ImageOps.invert(image.convert("RGB")).resize(images.fit_size(image.size, self.settings.size))
        if content.alpha is not None:
            result.putalpha(image.getchannel("A").resize(result.size))
        return content.passed_on(replace(images.read(result), bits=content.bits), 0)


def install_fake(before: Callable[[images.Picture], None] = lambda picture: None) -> type[FakeStylizer]:
    """Put the fake where the command looks for the real one."""
    fake = type("Fake", (FakeStylizer,), {"made": [], "contents": [], "before": staticmethod(before)})
    module = types.ModuleType("styleshuffle.stylizer")
    module.Stylizer = fake  # type: ignore[attr-defined]
    sys.modules["styleshuffle.stylizer"] = module
    return fake
