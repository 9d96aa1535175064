"""Run the application with uvicorn: bind the address, say where it is, serve until it is stopped."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import uvicorn

from ..errors import SettingsError
from .app import make_app
from .limits import Limits
from .painter import Painter


@dataclass(frozen=True)
class Address:
    """Where the server listens.

    Attributes:
        token: a secret that clients need, or None.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    token: str | None = None

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that it may be called by, in lower case."""
        local = ("localhost", "127.0.0.1", "::1")
        return (*local, self.host.lower()) if self.local else (*local, self.host.lower(), socket.gethostname().lower())


def checked(address: Address) -> Address:
    """Refuse an address that others reach without a token.

    Raises:
        SettingsError: says what to add.
    """
    if not address.local and address.token is None:
        raise SettingsError(
            f"token: with host {address.host} other machines reach this server; add a token, which they then need"
        )
    if address.token is not None and len(address.token) < 8:
        raise SettingsError("token: is shorter than 8 characters; use a longer token")
    return address


def listening(address: Address) -> socket.socket:
    """A socket that listens at the address; port 0 takes any free port.

    Raises:
        SettingsError: the address is not one of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # only for sockets that name the protocol does asyncio send small answers at once, not 40 ms later
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(128)  # so that who comes before the application is ready waits for it
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise SettingsError(
            f"port: {address.host}:{address.port} cannot be used ({reason}); name another port"
        ) from error
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(address: Address, port: int) -> str:
    """What to open in the browser."""
    host = {"0.0.0.0": _own_address(), "::": "[::1]"}.get(address.host, address.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{port}/" + (f"?token={quote(address.token)}" if address.token else "")


def serve(
    address: Address,
    styles: Path | None = None,
    device: str = "auto",
    ready: Callable[[str], None] = lambda url: None,
    limits: Limits | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        styles: a folder with styles to offer.
        ready: called with the address to open, once it can be opened.

    Raises:
        SettingsError: the address cannot be used, or is not safe.
    """
    limits = limits or Limits()
    listener = listening(checked(address))
    try:
        url = url_of(address, listener.getsockname()[1])
        app = make_app(
            styles,
            Painter(device),
            limits=limits,
            names=address.names,
            any_address=not address.local,
            token=address.token,
        )
        _Server(config(app, limits), lambda: ready(url)).run(sockets=[listener])
    finally:
        listener.close()


def config(app: object, limits: Limits) -> uvicorn.Config:
    """uvicorn's settings: one process, the parser whose bounds are known, no log of addresses, which may hold a token."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="h11",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32 * 1024,
    )


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _own_address() -> str:
    """The address by which other machines most likely reach this one. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: a datagram socket only chooses a route
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
