"""Pictures that clients send: only pictures are taken, within bounds, and no path of a client is ever opened."""

from __future__ import annotations

import io
import socket
import struct
import zlib
from pathlib import Path

import pytest
from photograph_files import XMP, camera_exif
from PIL import Image
from web_server import PATIENCE, Client, files_of, opened, png, sample, serving, until

from styleshuffle.images import read
from styleshuffle.web.jobs import safe_name
from styleshuffle.web.limits import Limits
from styleshuffle.web.refusals import Refusal
from styleshuffle.web.shelf import Shelf

LOOSE = {"requests_per_second": 1e6, "burst": 10**6}


def bomb(width: int, height: int) -> bytes:
    """A small PNG file that says it has this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "page": b"<!doctype html><script>alert(1)</script>",
    "drawing": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "zip": b"PK\x03\x04" + bytes(100),
    "cut": png(Image.effect_noise((64, 64), 90))[:900],
    "bomb": bomb(60_000, 60_000),
    "wide": bomb(2**31 - 1, 1),
    "header of 10 GB": bomb(57_000, 57_000)[:33],
    "missing pixels": bomb(4000, 4000),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_picture_is_refused_and_leaves_nothing(server: Client, temp: Path, kind: str) -> None:
    answer = server.http.post("/api/pictures?name=evil.png", content=HOSTILE[kind])
    assert answer.status_code == 422 and answer.json()["error"].startswith("evil.png: ")
    assert str(temp) not in answer.text and not files_of(temp)


def test_a_picture_is_kept_with_a_small_copy_and_shown_upright(server: Client, temp: Path) -> None:
    image = Image.new("RGB", (2000, 1000), "red")
    image.paste("blue", (0, 0, 1000, 1000))
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(file, "JPEG", exif=exif)
    answer = server.http.post("/api/pictures?name=turned.jpg", content=file.getvalue()).json()
    assert (answer["name"], answer["size"]) == ("turned.jpg", [1000, 2000])
    shown = server.http.get(f"/api/pictures/{answer['id']}?side=100")
    assert shown.headers["content-type"] == "image/jpeg" and opened(shown.content).size == (50, 100)
    assert opened(shown.content).getpixel((25, 10)) == pytest.approx((0, 0, 255), abs=12)
    assert opened(server.http.get(f"/api/pictures/{answer['id']}?side=2000").content).size == (1000, 2000)
    assert len(files_of(temp)) == 2


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_results_tell_the_date_but_not_the_place(server: Client, format: str) -> None:
    file = io.BytesIO()
    sample().save(file, "JPEG", exif=b"Exif\0\0" + camera_exif(), xmp=XMP)
    photo = server.send(file.getvalue(), "photo.jpg")
    id = server.start([photo], ["sample-stained_glass"], format=format).json()["id"]
    assert server.end_of(id)["state"] == "done"
    result = server.http.get(f"/api/jobs/{id}/result").content
    assert b"2024:05:06 07:08:09" in result and b"Camera maker" in result
    assert b"GPS" not in result and b"48,12.5N" not in result
    assert read(io.BytesIO(result)).metadata.without_gps() == read(io.BytesIO(result)).metadata


def test_transparency_is_kept(server: Client) -> None:
    id = server.send(Image.new("RGBA", (40, 40), (255, 0, 0, 100)))
    shown = server.http.get(f"/api/pictures/{id}")
    assert shown.headers["content-type"] == "image/png" and opened(shown.content).getpixel((5, 5))[3] == 100


@pytest.mark.parametrize("side", ["0", "-1", "99999", "1e9", "abc", "²"])
def test_a_wrong_size_is_refused(server: Client, side: str) -> None:
    assert server.http.get("/api/pictures/sample-stained_glass", params={"side": side}).status_code == 422


@pytest.mark.parametrize(
    "id", ["..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "sample-../../../LICENSE", "a.view.png", "nul%00"]
)
def test_ids_are_looked_up_and_never_opened(server: Client, id: str) -> None:
    assert server.http.get(f"/api/pictures/{id}").status_code == 404


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\cat.jpg", "cat.jpg"),
        ("..", "picture"),
        ("-o.png", "o.png"),
        ("", "picture"),
        ('a"b\r\nSet-Cookie: x.png', "a_b__Set-Cookie_ x.png"),
        ("\x1b[31mred.png", "_[31mred.png"),
        ("Büro Küche.jpg", "Büro Küche.jpg"),
        ("x" * 500 + ".png", "x" * 70 + ".png"),
    ],
)
def test_names_of_clients_become_plain_names_of_files(name: str, safe: str) -> None:
    assert safe_name(name, "picture") == safe


def test_a_name_in_any_script_survives_the_download(server: Client) -> None:
    photo = server.send(sample(), "Büro 写真.png")
    id = server.start([photo], ["sample-stained_glass"]).json()["id"]
    assert server.end_of(id)["name"] == "Büro 写真-stained_glass.png"
    header = server.http.get(f"/api/jobs/{id}/result").headers["content-disposition"]
    assert "filename*=UTF-8''B%C3%BCro%20%E5%86%99%E7%9C%9F-stained_glass.png" in header


def test_a_client_that_vanishes_while_it_sends_leaves_nothing(server: Client, temp: Path) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(
                b"POST /api/pictures HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n" + bytes(9000)
            )
            until(lambda: bool(files_of(temp)))
        until(lambda: not files_of(temp))


def test_where_room_is_short_the_oldest_picture_makes_room(temp: Path) -> None:
    with serving(limits=Limits(kept_files=3, **LOOSE)) as server:
        ids = [server.send(sample()) for _ in range(3)]
        assert server.http.get(f"/api/pictures/{ids[0]}").status_code == 200  # so that the second is the oldest
        server.send(sample())
        assert [server.http.get(f"/api/pictures/{id}").status_code for id in ids] == [200, 404, 200]
        assert len(files_of(temp)) == 6


def test_the_shelf_never_deletes_what_is_held(temp: Path) -> None:
    now = [0.0]
    shelf = Shelf(Limits(kept_bytes=100, idle_seconds=10), clock=lambda: now[0])
    with shelf.writing("a", 60, [".x"]) as entry:
        entry.files[0].write_bytes(bytes(50))
        shelf.settle(entry, "something")
    held = shelf.hold([entry.id])
    with pytest.raises(Refusal, match="as many pictures as it may"):
        shelf.new("", 60, [".y"])
    now[0] += 100
    shelf.sweep()
    assert shelf.get(entry.id).what == "something"
    shelf.drop(entry.id)
    assert entry.files[0].exists()  # until it is let go
    shelf.release(held)
    assert not entry.files[0].exists()
    shelf.new("", 60, [".y"])
    shelf.close()
    assert not shelf.folder.exists()


def test_what_nobody_asks_for_goes_after_a_time(temp: Path) -> None:
    now = [0.0]
    shelf = Shelf(Limits(idle_seconds=10), clock=lambda: now[0])
    ids = []
    for _ in range(2):
        with shelf.writing("", 5, [".x"]) as entry:
            entry.files[0].write_bytes(b"x")
            shelf.settle(entry, "something")
            ids.append(entry.id)
        now[0] += 6
    shelf.sweep()
    with pytest.raises(Refusal):
        shelf.get(ids[0])
    assert shelf.get(ids[1]).what == "something"
    shelf.close()


def test_the_styles_of_a_folder_are_offered_by_id(temp: Path, tmp_path: Path) -> None:
    folder = tmp_path / "paintings"
    (folder / "old").mkdir(parents=True)
    for name in ("my_style.png", "old/b.jpg", ".hidden.png"):
        sample("blue").save(folder / name)
    (folder / "broken.png").write_bytes(b"no picture")
    with serving(styles=folder) as server:
        styles = server.http.get("/api/styles").json()
        names = {style["name"]: style["id"] for style in styles}
        assert [style["name"] for style in styles[:3]] == ["Broken", "My style", "B"] and len(styles) == 3 + 8
        assert opened(server.http.get(f"/api/pictures/{names['My style']}?side=64").content).size == (48, 32)
        answer = server.http.get(f"/api/pictures/{names['Broken']}")
        assert answer.status_code == 422 and answer.json()["error"].startswith("broken.png: is not")
        assert str(folder) not in answer.text + str(styles)
