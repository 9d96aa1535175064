"""Colour profiles of RGB pictures: to sRGB and back, in floats, without clipping.

A profile of a camera or a display is a curve for each channel and a matrix to the CIE XYZ of daylight D50 (ICC.1:2022,
"matrix/TRC"). Display P3, Adobe RGB and ProPhoto RGB are such profiles. Pillow converts pixels of 8 bits only, and clips
what sRGB does not hold. Here colours beyond sRGB get values below 0 and above 1, where sRGB's curve goes on point
symmetrically (as in IEC 61966-2-2, scRGB), so that the way back finds them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_ROWS = 2**18  # pixels converted at a time
_TABLE = 4096  # steps of a curve that is inverted by a table

_SRGB_TO_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])

_WIDEST = 3.0  # number of a matrix to sRGB; that of ProPhoto has 2.03, and what goes beyond is damage
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}  # of the kinds of a parametric curve


@dataclass(frozen=True)
class Curve:
    """What a channel's numbers mean, as light: a formula or a table.

    Attributes:
        formula: g, a, b, c, d, e, f of ``(a x + b)^g + e`` from d on and ``c x + f`` below.
        table: light at equal steps of the number, from 0 to 1.
    """

    formula: tuple[float, ...] = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    table: np.ndarray | None = None

    def light(self, values: np.ndarray) -> np.ndarray:
        """Light of numbers; both are about [0, 1]."""
        if self.table is not None:
            return np.interp(values, np.linspace(0, 1, len(self.table)), self.table)
        g, a, b, c, d, e, f = self.formula
        return np.where(values >= d, np.maximum(a * values + b, 0) ** g + e, c * values + f)

    def ends(self) -> np.ndarray:
        """Light where the pieces of the formula begin and end, between which it rises or falls; of a table, all of it."""
        if self.table is not None:
            return self.table
        middle = np.clip(self.formula[4], 0, 1)
        return self.light(np.array([0, np.nextafter(middle, -1), middle, 1]).clip(0, 1))

    def numbers(self, light: np.ndarray) -> np.ndarray:
        """Numbers in [0, 1] of light; what cannot be told is 0 or 1."""
        table = self.table
        if table is not None:
            rising = np.maximum.accumulate(table)
            return np.interp(light, rising, np.linspace(0, 1, len(table)))
        g, a, b, c, d, e, f = self.formula
        low = (light - f) / c if c else np.zeros_like(light)
        high = (np.maximum(light - e, 0) ** (1 / g) - b) / a
        return np.clip(np.where(light >= max(a * d + b, 0.0) ** g + e, high, low), 0, 1)


@dataclass(frozen=True)
class MatrixProfile:
    """A profile of curves and a matrix.

    Attributes:
        curves: of red, green and blue.
        matrix: (3, 3), light of the three channels to light of sRGB's.
    """

    curves: tuple[Curve, Curve, Curve]
    matrix: np.ndarray

    def to_srgb(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3), uint8, uint16 or float in [0, 1], to sRGB as float32, which goes beyond [0, 1]."""
        decode, matrix = [_decoder(curve, pixels.dtype) for curve in self.curves], self.matrix.T.astype(np.float32)

        def convert(some: np.ndarray) -> np.ndarray:
            light = np.stack([decode[channel](some[:, channel]) for channel in range(3)], axis=1)
            return _srgb_numbers(light @ matrix)

        return _by_rows(pixels, convert)

    def from_srgb(self, pixels: np.ndarray) -> np.ndarray:
        """sRGB (H, W, 3), uint8 or float that may go beyond [0, 1], to numbers of the profile in [0, 1], as float32."""
        inverse = np.linalg.inv(self.matrix).T.astype(np.float32)
        scale = np.float32(255 if pixels.dtype == np.uint8 else 1)

        def convert(some: np.ndarray) -> np.ndarray:
            light = _srgb_light(some.astype(np.float32) / scale) @ inverse
            return np.stack([self.curves[channel].numbers(light[:, channel]) for channel in range(3)], axis=1)

        return _by_rows(pixels, convert)

    @property
    def nearly_srgb(self) -> bool:
        """Whether pixels of 8 bits move by at most two levels from their numbers to sRGB."""
        levels = np.linspace(0, 255, 9).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        return bool(abs(self.to_srgb(cube).clip(0, 1) * 255 - cube).max() <= 2.5)


def matrix_profile(profile: bytes) -> MatrixProfile | None:
    """The curves and the matrix of an ICC profile for RGB; None if it has others, or is broken."""
    if len(profile) < 132 or profile[16:20] != b"RGB " or profile[20:24] != b"XYZ " or profile[36:40] != b"acsp":
        return None
    try:
        tags = _tags(profile)
        columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        red, green, blue = (_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (KeyError, ValueError, struct.error):
        return None
    return _made((red, green, blue), np.stack(columns, axis=1))


def grey_profile(profile: bytes) -> MatrixProfile | None:
    """The same for an ICC profile of grey, applied to three equal channels; None if it has no curve, or is broken."""
    if len(profile) < 132 or profile[16:20] != b"GRAY" or profile[20:24] != b"XYZ " or profile[36:40] != b"acsp":
        return None
    try:
        curve = _curve(_tags(profile)[b"kTRC"])
    except (KeyError, ValueError, struct.error):
        return None
    return MatrixProfile((curve, curve, curve), np.eye(3))


def profile_of_gamma(gamma: float, chromaticities: tuple[float, ...] | None) -> MatrixProfile | None:
    """What the chunks gAMA and cHRM of a PNG say; None if they say nothing of use.

    Args:
        gamma: the exponent of the file, such as 0.45455.
        chromaticities: x and y of white, red, green and blue; None stands for those of sRGB.
    """
    if not 0.05 <= gamma <= 5:
        return None
    curve = Curve((1 / gamma, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    if abs(gamma - 0.45455) < 0.01:  # what programs write that mean sRGB
        curve = SRGB_CURVE
    to_d50 = _SRGB_TO_D50
    if chromaticities is not None:
        if len(chromaticities) != 8 or min(chromaticities[1::2]) <= 0:
            return None
        white, *primaries = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in np.reshape(chromaticities, (4, 2)))
        columns = np.stack(primaries, axis=1)
        if abs(np.linalg.det(columns)) < 1e-6:
            return None
        columns = columns * np.linalg.solve(columns, white)
        cones = _BRADFORD @ white
        if min(abs(cones)) < 1e-3:
            return None
        to_d50 = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / cones) @ _BRADFORD @ columns
    return _made((curve, curve, curve), to_d50)


def _made(curves: tuple[Curve, Curve, Curve], to_d50: np.ndarray) -> MatrixProfile | None:
    matrix = np.linalg.inv(_SRGB_TO_D50) @ to_d50
    white = matrix.sum(1)
    if np.isfinite(white).all() and abs(white - 1).max() < 0.02:
        matrix = matrix / white[:, None]  # profiles round their numbers, but grey shall stay grey
    if not np.isfinite(matrix).all() or abs(matrix).max() > _WIDEST or abs(np.linalg.det(matrix)) < 1e-6:
        return None
    ends = np.concatenate([curve.ends() for curve in curves])
    if not np.isfinite(ends).all() or ends.min() < -1 or ends.max() > 2:
        return None
    return MatrixProfile(curves, matrix)


# ----------------------------------------------------------------------------------------------------- parts of a profile


def _tags(profile: bytes) -> dict[bytes, bytes]:
    count = min(struct.unpack(">L", profile[128:132])[0], 200)
    places = (struct.unpack(">4sLL", profile[132 + 12 * at : 144 + 12 * at]) for at in range(count))
    return {name: profile[start : start + length] for name, start, length in places}


def _xyz(tag: bytes) -> np.ndarray:
    if tag[:4] != b"XYZ ":
        raise ValueError("no XYZ")
    return np.array(struct.unpack(">3i", tag[8:20])) / 65536


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"curv":
        count = struct.unpack(">L", tag[8:12])[0]
        if count == 0:
            return Curve()
        if count == 1:
            return _checked(struct.unpack(">H", tag[12:14])[0] / 256, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        if len(tag) < 12 + 2 * count:
            raise ValueError("cut short")
        return Curve(table=np.frombuffer(tag, ">u2", count, 12) / 65535)
    if tag[:4] == b"para":
        kind = struct.unpack(">H", tag[8:10])[0]
        count = _PARAMETERS[kind]
        g, *rest = (number / 65536 for number in struct.unpack(f">{count}i", tag[12 : 12 + 4 * count]))
        a, b, c, d, e, f = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if kind in (1, 2):  # constant below -b / a
            a, b = rest[:2]
            e = f = rest[2] if kind == 2 else 0.0
            d = -b / a if a else 0.0
        elif kind >= 3:
            a, b, c, d, *both = rest
            e, f = both or (0.0, 0.0)
        return _checked(g, a, b, c, d, e, f)
    raise ValueError("no curve")


def _checked(g: float, a: float, *others: float) -> Curve:
    if not (0.1 <= g <= 10 and a > 0):
        raise ValueError("no rising curve")
    return Curve((g, a, *others))


SRGB_CURVE = Curve((2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0.0, 0.0))


# ---------------------------------------------------------------------------------------------------------------- numbers


def _decoder(curve: Curve, dtype: np.dtype[np.generic]) -> Callable[[np.ndarray], np.ndarray]:
    """A function from numbers of a channel to light; for whole numbers a table."""
    if dtype.kind == "u":
        most = 2 ** (8 * dtype.itemsize) - 1
        table = curve.light(np.arange(most + 1) / most).astype(np.float32)
        return lambda values: table[values]
    return lambda values: curve.light(values).astype(np.float32)


def _srgb_numbers(light: np.ndarray) -> np.ndarray:
    size = abs(light)
    return np.copysign(np.where(size <= 0.0031308, 12.92 * size, 1.055 * size ** (1 / 2.4) - 0.055), light)


def _srgb_light(numbers: np.ndarray) -> np.ndarray:
    size = abs(numbers)
    return np.copysign(np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4), numbers)


def _by_rows(pixels: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Convert (H, W, 3) some rows at a time, because floats of the whole picture take much memory."""
    result = np.empty(pixels.shape, np.float32)
    step = max(1, _ROWS // pixels.shape[1])
    for top in range(0, len(pixels), step):
        block = pixels[top : top + step]
        result[top : top + step] = convert(block.reshape(-1, 3)).reshape(block.shape)
    return result
