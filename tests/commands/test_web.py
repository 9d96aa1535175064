"""``styleshuffle-web``: what it refuses, and that it starts, says where it is and ends without leaving anything."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import environment, invoke

from styleshuffle.commands import web

needs_packages = pytest.mark.skipif(
    any(find_spec(module) is None for module in (*web._PACKAGES, "httpx")),
    reason="the page needs packages: pip install 'styleshuffle[web]'",
)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "--token: with host 0.0.0.0 other machines reach this server; add a token"),
        (["--host", "192.0.2.1", "--token", "short"], "--token: is shorter than 8 characters"),
        (["--host", "192.0.2.1", "--token"], "--port: 192.0.2.1:7860 cannot be used"),
        (["--styles", "nowhere"], "does not exist"),
        (["--port", "99999"], "99999"),
        (["--quiet", "--verbose"], "contradict"),
    ],
)
@needs_packages
def test_wrong_command_lines_are_refused(arguments: list[str], says: str) -> None:
    done = invoke(web.main, *arguments, "--no-browser")
    assert done.exit_code == 2 and says in " ".join(done.stderr.split())


def test_missing_packages_are_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_PACKAGES", {"no_such_module": "no-such-package"})
    done = invoke(web.main)
    assert done.exit_code == 2
    assert "the page needs no-such-package; pip install 'styleshuffle[web]'" in " ".join(done.stderr.split())


@needs_packages
@pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_stopped_and_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    import httpx

    command = [sys.executable, "-m", "styleshuffle.commands.web", "--port", "0", "--no-browser", "--quiet"]
    env = {**environment(), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        assert "styleshuffle" in httpx.get(url, timeout=300).text
        assert list(tmp_path.glob("styleshuffle-web-*"))
        process.send_signal(number)
        assert process.wait(300) == code
        assert process.stderr.read() == ""
    assert not list(tmp_path.glob("styleshuffle-web-*"))


@needs_packages
def test_addresses_hold_the_token_and_the_port() -> None:
    from styleshuffle.web.server import Address, url_of

    assert url_of(Address(), 7860) == "http://127.0.0.1:7860/"
    assert url_of(Address("localhost", token="a b/c"), 80) == "http://localhost:80/?token=a%20b/c"
    assert url_of(Address("::1"), 80) == "http://[::1]:80/"
    assert not url_of(Address("0.0.0.0", token="x"), 80).startswith("http://0.0.0.0")
    assert [Address(host).local for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9", "0.0.0.0", "studio")] == [
        *[True] * 4,
        *[False] * 2,
    ]


@needs_packages
def test_the_port_of_another_program_is_refused() -> None:
    from styleshuffle.errors import SettingsError
    from styleshuffle.web.server import Address, listening

    with listening(Address(port=0)) as taken, pytest.raises(SettingsError, match="cannot be used"):
        listening(Address(port=taken.getsockname()[1]))
