"""Whether all workers were started alike: with the same options, and with the same pictures, wherever these lie."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .workers import Workers

_OWN = {"run", "images", "styles", "weights", "teacher", "start", "decoder", "pairs_on"}  # where files lie, and
_OWN |= {"device", "timeout", "tensorboard", "quiet", "verbose"}  # what does not change the result


def check_options(workers: Workers, options: Mapping[str, Any]) -> None:
    """Compare what was given on the command line; where files lie and where to compute may differ.

    Raises:
        SettingsError: on all workers alike, if two differ; names the options and what they are.
    """
    named = {f"--{name.replace('_', '-')}": value for name, value in sorted(options.items()) if name not in _OWN}
    workers.check_alike(named, "start all with the same options")


def check_network(workers: Workers, name: str, fingerprint: Tensor) -> None:
    """Compare the weights of a network that each worker has loaded itself.

    Raises:
        SettingsError: on all workers alike, if two differ.
    """
    workers.check_alike({name: bytes(fingerprint.tolist()).hex()}, "give all machines the same file of weights")


def check_crops(workers: Workers, crops: Tensor) -> None:
    """Compare the crops, uint8, that the workers cut from their own copies of the training pictures.

    Raises:
        SettingsError: on all workers alike, if two differ.
    """
    if workers.world > 1:
        what = {"pictures in --images": f"{zlib.crc32(crops.contiguous().numpy().data):08x}"}
        workers.check_alike(what, "give all machines the same pictures, under the same names")
