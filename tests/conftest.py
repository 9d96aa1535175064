"""What tests of several rooms start from: pictures, folders, the bundled networks, and a fake in place of them."""

from __future__ import annotations

import signal
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_stylizer import FakeStylizer, install_fake
from helpers import picture
from PIL import Image

if TYPE_CHECKING:
    from styleshuffle.networks.decoder import Decoder
    from styleshuffle.networks.vgg import VGG


# Shells that run the tests in the background, and nohup, let them ignore signals, which their processes would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small pictures, one in a subfolder, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    (folder / "sub").mkdir()
    for number in range(9):
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        name = f"sub/{number}.PNG" if number == 8 else f"{number}.png"
        Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(folder / name, format="PNG")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def encoder() -> VGG:
    """The bundled encoder, loaded once. No test may change it."""
    from styleshuffle.networks.vgg import load_compact

    return load_compact()


@pytest.fixture(scope="session")
def decoder(encoder: VGG) -> Decoder:
    """The bundled decoder, loaded once. No test may change it."""
    from styleshuffle.networks.decoder import load_compact_decoder

    return load_compact_decoder(encoder)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeStylizer]:
    """The fake, where commands look for the real stylizer."""
    monkeypatch.setitem(sys.modules, "styleshuffle.stylizer", types.ModuleType("to be restored"))
    return install_fake()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a content and a style picture."""
    monkeypatch.chdir(tmp_path)
    picture("content.png", "red")
    picture("style.png", "blue", (20, 10))
    return tmp_path
