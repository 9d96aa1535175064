"""Who may talk to the server: other sites may not, nor strangers without the token, nor anybody too much."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_server import PATIENCE, Client, files_of, httpx, png, sample, serving

from styleshuffle.web.guard import HEADERS, Guard, host_name
from styleshuffle.web.limits import Limits

LOOSE = {"requests_per_second": 1e6, "burst": 10**6}
FETCHED = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
OPENED = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def with_host(client: Client, host: str, method: str = "GET", path: str = "/") -> int:
    return int(client.http.request(method, path, headers={"Host": host}).status_code)


def test_only_the_servers_own_names_are_answered(server: Client) -> None:
    port = server.url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}", "localhost"):
        assert with_host(server, host) == 200
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"):
        assert with_host(server, host) == 421
        assert with_host(server, host, "POST", "/api/pictures") == 421
    raw = server.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert b" 200 " not in raw.splitlines()[0]


@pytest.mark.parametrize(
    ("host", "name"),
    [("Localhost:80", "localhost"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("", ""), ("a:b:c", "a"), ("[", "")],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name


def test_other_sites_may_not_use_the_server(server: Client, temp: Path) -> None:
    for origin in (
        "http://evil.example",
        "null",
        "https://127.0.0.1",
        server.url.replace("http:", "https:"),
        "http://127.0.0.1:1",
    ):
        answer = server.http.post("/api/pictures", content=png(sample()), headers={"Origin": origin})
        assert answer.status_code == 403 and "another site" in answer.json()["error"]
        assert "access-control-allow-origin" not in answer.headers
    assert server.http.get("/api/options", headers=FETCHED).status_code == 403
    assert server.http.get("/api/options", headers=OPENED).status_code == 403
    assert server.http.get("/style.css", headers=FETCHED).status_code == 403
    assert not files_of(temp)


def test_the_own_page_and_programs_may(server: Client) -> None:
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert server.http.post("/api/pictures", content=png(sample()), headers=own).status_code == 201
    assert server.http.post("/api/pictures", content=png(sample())).status_code == 201
    assert server.http.get("/", headers=OPENED).status_code == 200  # a link from elsewhere


def test_every_answer_has_the_headers_that_protect_the_page(server: Client) -> None:
    for path, headers in ("/", {}), ("/api/options", {}), ("/nothing", {}), ("/", {"Host": "evil.example"}):
        answer = server.http.get(path, headers=headers)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy


# --------------------------------------------------------------------------------------------------------- the token


@pytest.fixture
def secret(temp: Path) -> Iterator[Client]:
    with serving(token="open sesame") as client:
        yield client


def test_without_the_token_nothing_is_answered(secret: Client) -> None:
    for path in ("/", "/style.css", "/api/options", "/api/openapi.json"):
        assert secret.http.get(path).status_code == 401
    assert secret.http.post("/api/pictures", content=png(sample())).status_code == 401
    for wrong in ("-", "open", "open sesame!"):
        assert secret.http.get("/", params={"token": wrong}).status_code == 401
        assert secret.http.get("/", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401


def test_scripts_send_the_token_in_a_header(secret: Client) -> None:
    assert secret.http.get("/api/options", headers={"Authorization": "Bearer open sesame"}).status_code == 200


def test_the_address_with_the_token_sets_a_cookie_and_leaves_the_address_bar(secret: Client) -> None:
    answer = secret.http.get("/", params={"token": "open sesame", "x": "1"})
    assert answer.status_code == 303 and answer.headers["location"] == "/?x=1"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert secret.http.get("/").status_code == 200  # the client kept the cookie
    raw = secret.raw(b"GET //evil.example/?token=open+sesame HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"\r\nlocation: /evil.example/\r\n" in raw  # not //evil.example/, which is another site


def test_a_server_for_other_machines_goes_by_addresses_but_not_by_foreign_names(temp: Path) -> None:
    with serving(any_address=True, names=("studio",)) as client:
        assert [with_host(client, host) for host in ("192.0.2.7:80", "[2001:db8::1]", "studio")] == [200, 200, 200]
        assert with_host(client, "evil.example") == 421


# ------------------------------------------------------------------------------------------------------ how much


def test_requests_can_be_spent_and_come_back_with_time() -> None:
    now = [0.0]
    guard = Guard(lambda *nothing: None, Limits(requests_per_second=2, burst=3), clock=lambda: now[0])  # type: ignore[arg-type]
    scope = {"type": "http", "path": "/api/options", "client": ("192.0.2.1", 1)}

    def passes(**other: object) -> bool:
        try:
            guard._check_rate({**scope, **other})
        except Exception as error:
            assert getattr(error, "status", None) == 429
            return False
        return True

    assert [passes() for _ in range(4)] == [True, True, True, False]
    assert passes(client=("192.0.2.2", 1)) and passes(path="/style.css")
    now[0] += 0.5
    assert [passes(), passes()] == [True, False]
    now[0] += 1000
    assert [passes() for _ in range(4)] == [True, True, True, False]


def test_too_many_requests_are_refused_with_a_time_to_wait(temp: Path) -> None:
    with serving(limits=Limits(requests_per_second=0.001, burst=3)) as client:
        answers = [client.http.get("/api/styles") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]  # the fixture asked once
        assert answers[-1].headers["retry-after"] == "1"


def test_bodies_are_bounded_by_what_they_say_and_by_what_they_are(temp: Path) -> None:
    with serving(limits=Limits(upload_bytes=20_000, text_bytes=1000, **LOOSE)) as client:
        start = "POST /api/pictures HTTP/1.1\r\nHost: localhost\r\n"
        answer = client.raw(f"{start}Content-Length: {10 * 2**30}\r\n\r\n".encode())  # 10 GB, of which nothing comes
        assert b" 413 " in answer.splitlines()[0] and b"the request is larger than" in answer
        answer = client.raw(f"{start}Content-Length: {'9' * 50}\r\n\r\n".encode())
        assert b" 413 " in answer.splitlines()[0] or b" 400 " in answer.splitlines()[0]
        chunk = b"2710\r\n" + bytes(10_000) + b"\r\n"
        answer = client.raw(start.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + 3 * chunk)
        assert b" 413 " in answer.splitlines()[0]
        answer = client.http.post("/api/jobs", json={"page": "x" * 2000})
        assert answer.status_code == 413
        assert not files_of(temp)


def test_endless_headers_are_refused(server: Client) -> None:
    endless = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Much: " + b"x" * 2**20
    answer = server.raw(endless)
    assert not answer or b" 4" in answer.splitlines()[0]
    assert server.http.get("/api/styles").status_code == 200


def test_a_client_that_stops_in_the_middle_is_given_up(temp: Path) -> None:
    with serving(limits=Limits(silent_seconds=0.2, **LOOSE)) as client:
        host, _, port = client.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(b"POST /api/pictures HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nhalf")
            assert b" 408 " in connection.recv(4096).splitlines()[0]
        assert not files_of(temp)


def test_what_is_not_there_and_wrong_methods_are_answered_by_a_sentence(server: Client) -> None:
    answers: list[httpx.Response] = [
        server.http.get("/nothing"),
        server.http.post("/api/styles"),
        server.http.get("/../setup.py"),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 404]
    assert all(answer.json()["error"] for answer in answers)
