"""Find, verify and load network weights.

Weights are data: .safetensors, or .pth through ``torch.load(weights_only=True)``; no code from a file is ever run.
The bundled networks are verified against the SHA-256 sums in weights/SHA256SUMS before they are used.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..errors import WeightsError
from ..files import written_whole

_PACKAGE = Path(__file__).resolve().parent.parent
_REINSTALL = "reinstall styleshuffle (pip install --force-reinstall .)"


def bundled_folder() -> Path:
    """The folder of the bundled networks: in the installed package, or else in the clone."""
    installed = _PACKAGE / "bundled"
    return installed if installed.is_dir() else _PACKAGE.parent / "weights"


def load_bundled(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """Tensors of a bundled network, as float32, verified by its SHA-256 sum.

    Raises:
        WeightsError: the file is missing, or differs from the shipped file.
    """
    folder = folder or bundled_folder()
    path = folder / name
    try:
        data = path.read_bytes()
        sums = (folder / "SHA256SUMS").read_text()
    except OSError as error:
        raise WeightsError(f"{error.filename}: cannot read the bundled weights: {error.strerror}; {_REINSTALL}") from None
    expected = {fields[1]: fields[0] for fields in map(str.split, sums.splitlines()) if len(fields) == 2}
    if hashlib.sha256(data).hexdigest() != expected.get(name):
        raise WeightsError(f"{path}: damaged weights: the SHA-256 sum differs from the shipped one; {_REINSTALL}")
    return {key: value.float() for key, value in load(data).items()}


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors, .pth or .pt file, without running code. Each is dense and as large as the file says.

    Raises:
        WeightsError: the file is missing, damaged, or has another format, or holds a tensor that is sparse, quantised,
            complex or without values, or that repeats few values many times; the message names the tensor.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; check the path")
    try:
        if path.suffix == ".safetensors":
            tensors = load(path.read_bytes())
        else:
            _check_zip(path)
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, EOFError, RuntimeError, ValueError, KeyError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: cannot load weights: {reason}; fetch the file again") from None
    except WeightsError:
        raise
    except Exception:  # such as pickle.UnpicklingError: torch refuses all but plain data
        raise WeightsError(f"{path}: holds more than plain tensors; save its state_dict as .safetensors") from None
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise WeightsError(f"{path}: not a dictionary of tensors; save the network's state_dict")
    for key, value in tensors.items():
        _check_plain(key, value, path)
    return {str(key): value for key, value in tensors.items()}


def _check_zip(path: Path) -> None:
    """Refuse a .pth file with compressed parts, which can be a thousand times larger than the file. torch writes none."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        if sum(part.file_size for part in file.infolist()) > path.stat().st_size:
            raise WeightsError(f"{path}: its parts are larger than the file; save its state_dict as .safetensors")


def _check_plain(key: object, value: Tensor, source: str | Path) -> None:
    """Refuse a tensor whose values are not all there, one by one."""
    if value.is_meta:
        kind = "has no values (it is on the meta device)"
    elif value.is_quantized:
        kind = "is quantised"
    elif value.layout != torch.strided:
        kind = f"is sparse ({str(value.layout).removeprefix('torch.')})"
    elif value.is_complex():
        kind = "is complex"
    elif value.untyped_storage().nbytes() < value.numel() * value.element_size():
        kind = f"repeats few values {value.numel():,} times"
    else:
        return
    raise WeightsError(f"{source}: tensor '{key}' {kind}; save plain tensors: the network's state_dict")


def without_values() -> AbstractContextManager[object]:
    """In this context a network is made without values, for `load_into`: quickly, and without random numbers."""
    return torch.device("meta")


def load_into(
    net: nn.Module, tensors: Mapping[str, Tensor], source: str | Path, may_be_zero: tuple[str, ...] = ()
) -> None:
    """Give a network its weights, as float32 on the CPU; it may have been made in `without_values`.

    Args:
        source: of the tensors, for messages.
        may_be_zero: ends of the names of weights that may be all zero, as they are in an untrained network.

    Raises:
        WeightsError: a tensor is missing or has another shape, or holds NaN, infinity or nothing but zeros; the message
            names the first.
    """
    weights = {}
    for key, wanted in net.state_dict().items():
        if key not in tensors:
            raise WeightsError(f"{source}: no tensor '{key}'; pass the weights of this network")
        value = tensors[key]
        if value.shape != wanted.shape:
            shape, expected = tuple(value.shape), tuple(wanted.shape)
            raise WeightsError(f"{source}: tensor '{key}' is {shape}, expected {expected}; pass this network's weights")
        if not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise WeightsError(f"{source}: tensor '{key}' holds {kind}; pass weights in floating point")
        weight = value.detach().to("cpu", torch.float32, copy=True, memory_format=torch.contiguous_format)
        if not weight.isfinite().all():
            raise WeightsError(f"{source}: tensor '{key}' holds NaN or infinity; train the network again, or fetch it")
        if weight.ndim > 1 and not weight.any() and not key.endswith(may_be_zero):
            raise WeightsError(f"{source}: tensor '{key}' holds nothing but zeros; pass trained weights")
        weights[key] = weight
    net.load_state_dict(weights, assign=True)


def save_tensors(tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors as a .safetensors file, whole or not at all."""
    data = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    with written_whole(path) as file:
        file.write(data)
