"""Who may talk to the server, and how much: host, origin, token, rate, bytes. It stands before everything else.

A server on this machine can be reached by every page that is open in the browser. Two attacks matter. With DNS rebinding
another site gives its own name the address 127.0.0.1 and reads answers: the Host header tells, because it holds that
name. With cross-site requests another site sends forms to this server: the Origin and Sec-Fetch-Site headers tell.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits
from .refusals import Refusal

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_SAFE_METHODS = ("GET", "HEAD")
_MOST_CLIENTS = 10_000  # whose rates are remembered


class Guard:
    """ASGI middleware. Refuses with one sentence as JSON, and adds the headers of `HEADERS` to every answer.

    Args:
        app: what it guards.
        names: host names, without port, that the server may be called by.
        any_address: any IP address may be the host: for a server that other machines reach. An address cannot be
            rebound, only a name can.
        token: a secret that clients must know, or None.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        names: tuple[str, ...] = _LOCAL_NAMES,
        any_address: bool = False,
        token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._limits, self._names, self._any_address = app, limits, names, any_address
        self._token, self._clock = token, clock
        # cookies do not know ports, so that two servers need two names
        self._cookie = "styleshuffle-" + hashlib.sha256((token or "").encode()).hexdigest()[:8]
        self._rates: dict[str, tuple[float, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # the server closes what is no HTTP

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            answer = self._checked(scope)
        except Refusal as refusal:
            answer = refused(refusal)
        if answer is not None:
            await answer(scope, receive, send_guarded)
            return
        await self._app(scope, self._bounded(scope, receive), send_guarded)

    def _checked(self, scope: Scope) -> Response | None:
        """Refuse a request, or answer it in place of the application, or let it pass."""
        headers = Headers(scope=scope)
        self._check_host(headers)
        self._check_origin(scope, headers)
        self._check_rate(scope)
        answer = self._check_token(scope, headers)
        self._check_length(scope, headers)
        return answer

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        name = host_name(hosts[0]) if len(hosts) == 1 else ""
        if name in self._names or (self._any_address and _is_address(name)):
            return
        raise Refusal(421, "this server does not go by this name; open the address that it printed at its start")

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Only pages of this server may send, and only they may use the interface. Programs send no Origin."""
        refusal = Refusal(403, "another site may not use this server; open its own address")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{headers['host']}".lower():
            raise refusal
        foreign = headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
        opens = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if foreign and not (opens and scope["method"] in _SAFE_METHODS and not scope["path"].startswith("/api/")):
            raise refusal

    def _check_rate(self, scope: Scope) -> None:
        """Each client has requests to spend, which come back with time."""
        if not scope["path"].startswith("/api/"):
            return
        client, now = (scope.get("client") or ("", 0))[0], self._clock()
        left, before = self._rates.get(client, (float(self._limits.burst), now))
        left = min(float(self._limits.burst), left + (now - before) * self._limits.requests_per_second)
        if left < 1:
            raise Refusal(429, "too many requests; send fewer", wait=1)
        if client not in self._rates and len(self._rates) >= _MOST_CLIENTS:
            self._rates.clear()
        self._rates[client] = (left - 1, now)

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        if self._token is None:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if self._is_token(query.pop("token", [""])[0]) and scope["method"] in _SAFE_METHODS:
            place = scope["path"] + ("?" + urlencode(query, doseq=True) if query else "")
            answer = RedirectResponse("/" + place.lstrip("/\\"), 303)  # so that the secret leaves the address bar
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="lax", path="/")
            return answer
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._is_token(bearer) or self._is_token(self._cookie_value(headers)):
            return None
        raise Refusal(401, "this server needs its token; open the address that it printed at its start")

    def _is_token(self, given: str) -> bool:
        return self._token is not None and secrets.compare_digest(given.encode(), self._token.encode())

    def _cookie_value(self, headers: Headers) -> str:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return cookie.value if cookie is not None else ""

    # -------------------------------------------------------------------------------------------------- the body

    def _most_bytes(self, scope: Scope) -> int:
        holds_pictures = scope["path"] in ("/api/pictures", "/api/paint")
        most = 2 * self._limits.upload_bytes if scope["path"] == "/api/paint" else self._limits.upload_bytes
        return most if holds_pictures else self._limits.text_bytes

    def _check_length(self, scope: Scope, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._most_bytes(scope):
            raise _too_long(self._most_bytes(scope))

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` that counts the bytes of the body, and gives up on a client that stops sending in the middle."""
        most, count, whole = self._most_bytes(scope), 0, False

        async def counted() -> Message:
            nonlocal count, whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._limits.silent_seconds)
            except asyncio.TimeoutError:
                raise Refusal(408, "the request stopped in the middle; send it again") from None
            count += len(message.get("body", b""))
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            if count > most:
                raise _too_long(most)
            return message

        return counted


def refused(refusal: Refusal) -> Response:
    """The answer that says why."""
    headers = {} if refusal.wait is None else {"Retry-After": str(round(refusal.wait))}
    if refusal.status in (408, 413):
        headers["Connection"] = "close"  # what is left of the body will not be read
    return JSONResponse({"error": str(refusal)}, refusal.status, headers)


def host_name(host: str) -> str:
    """The name or address in a Host header, without its port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _too_long(most: int) -> Refusal:
    size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 2**10} KiB"
    return Refusal(413, f"the request is larger than {size}; send a smaller file")
