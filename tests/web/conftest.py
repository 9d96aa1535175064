"""What the tests of the page start from. Its temporary files go where the test can see them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_server import Client, serving


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(temp: Path) -> Iterator[Client]:
    """A server whose painter inverts colours."""
    with serving() as client:
        yield client
