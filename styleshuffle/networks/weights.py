"""Find, verify and load network weights.

Weights are data: .safetensors, or .pth through ``torch.load(weights_only=True)``; no code from a file is ever run.
The bundled networks are verified against the SHA-256 sums in weights/SHA256SUMS before they are used.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

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
    """Tensors of a .safetensors, .pth or .pt file, without running code.

    Raises:
        WeightsError: the file is missing, damaged, or has another format.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; check the path")
    try:
        if path.suffix == ".safetensors":
            return load(path.read_bytes())
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: cannot load weights: {reason}; fetch the file again") from None
    except Exception:  # such as pickle.UnpicklingError: torch refuses all but plain data
        raise WeightsError(f"{path}: holds more than plain tensors; save its state_dict as .safetensors") from None
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise WeightsError(f"{path}: not a dictionary of tensors; save the network's state_dict")
    return tensors


def save_tensors(tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors as a .safetensors file, whole or not at all."""
    data = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    with written_whole(path) as file:
        file.write(data)
