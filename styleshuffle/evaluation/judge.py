"""Measure picture files. A refusal names the file."""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import isfinite, prod
from pathlib import Path

import torch
from torch import Tensor

from ..devices import PIXEL_COSTS, check_memory, choose_device
from ..errors import MemoryShortage, PictureError, WeightsError
from ..images import Picture, fit_size, read
from ..networks.vgg import VGG, load_encoder
from ..settings import MAX_PIXELS
from .measures import measure_features, measure_pixels

SMALLEST = {"compact": 24, "vgg19": 32}
"""Smallest side of a picture, by encoder: relu4_1 needs room for a 3 x 3 patch, relu5_1 for a reflected border."""


class Judge:
    """Measures pictures with an encoder, which is loaded for the first picture.

    Args:
        encoder: "compact" or "vgg19".
        weights: a file with the encoder's weights; None takes the default weights.
        device: see `styleshuffle.devices.choose_device`.
        size: resize all pictures to this long side; None keeps their sizes.
        show_download: show a progress bar on stderr if VGG-19 has to be downloaded.
        max_pixels: a picture with more pixels is refused.

    Attributes:
        resized: outputs that were measured at another size than their content.
    """

    def __init__(
        self,
        encoder: str,
        weights: str | None,
        device: str,
        size: int | None,
        show_download: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.name, self.weights, self.device_name, self.size = encoder, weights, device, size
        self.show_download, self.max_pixels = show_download, max_pixels
        self.resized: list[Path] = []
        self._style = lru_cache(maxsize=1)(self._encoded_style)  # the outputs often share a style

    @cached_property
    def device(self) -> torch.device:
        return choose_device(self.device_name)

    @cached_property
    def encoder(self) -> VGG:
        encoder = load_encoder(self.name, self.weights, progress=self.show_download)
        if max(encoder.channels) < 4:
            raise WeightsError(f"{self.weights}: ends before relu4_1, which the measures need; pass deeper weights")
        return encoder.to(self.device).to(memory_format=torch.channels_last)

    @property
    def levels(self) -> list[int]:
        return sorted(self.encoder.channels)

    @torch.inference_mode()
    def measure(self, output: Path, content: Path, style: Path) -> dict[str, float]:
        """The measures of an output, by name; see `styleshuffle.evaluation.measures`.

        Raises:
            PictureError: a picture cannot be read, is too small, or needs more memory than there is.
        """
        (result, result_size), (source, source_size) = self.read(output), self.read(content)
        style_pixels, style_features = self._style(style)
        self._check_memory(output, prod(result_size) + prod(source_size) + style_pixels[0, 0].numel())
        pixels = result.tensor(result_size).to(self.device)
        original = source.tensor(source_size).to(self.device)
        measures = measure_features(
            self.encoder(pixels, self.levels),
            self.encoder(original, [4]),
            style_features,
            measure_pixels(pixels, original, style_pixels),
        ).as_dict()
        if not all(map(isfinite, measures.values())):
            raise PictureError(f"{output}: its measures are not finite; check the encoder's weights")
        if max(result_size) != max(source_size):
            self.resized.append(output)
        return {name: max(value, 0.0) for name, value in measures.items()}  # rounding can make it slightly negative

    def read(self, path: Path) -> tuple[Picture, tuple[int, int]]:
        """A picture, and the (width, height) at which it is measured.

        Raises:
            PictureError: the picture cannot be read, or is too small.
        """
        picture = read(path, self.max_pixels)
        size = fit_size(picture.size, self.size)
        least = SMALLEST[self.name]
        if min(size) < least:
            reason = f"{size[0]} x {size[1]} is too small to measure, {least} x {least} is the least"
            raise PictureError(f"{path}: {reason}; give a larger `size`")
        return picture, size

    def _encoded_style(self, path: Path) -> tuple[Tensor, dict[int, Tensor]]:
        picture, size = self.read(path)
        self._check_memory(path, prod(size))
        pixels = picture.tensor(size).to(self.device)
        return pixels, self.encoder(pixels, self.levels)

    def _check_memory(self, path: Path, pixels: int) -> None:
        device = self.device  # before the try: an unknown device has its own message
        try:
            check_memory(device, pixels, PIXEL_COSTS[self.name].measured)
        except MemoryShortage as error:
            raise PictureError(f"{path}: too large for this machine's memory; give a smaller `size`") from error
