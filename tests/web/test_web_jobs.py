"""Jobs: from the request to the result, newer ones that replace older ones, and clients that vanish."""

from __future__ import annotations

import io
import socket
import threading
import zipfile
from pathlib import Path

import pytest
from web_server import PATIENCE, Client, FakePainter, files_of, opened, sample, serving

from styleshuffle.errors import PictureError
from styleshuffle.web.limits import Limits
from styleshuffle.web.painter import Abilities, Order

STYLE = "sample-stained_glass"


def wait(condition: threading.Event) -> None:
    assert condition.wait(PATIENCE)


def test_a_preview_is_told_step_by_step_and_then_fetched(server: Client) -> None:
    photo = server.send(sample("red", (480, 320)), "cat.png", "a")
    answer = server.start([photo], [STYLE], page="a", kind="preview", side=240, format="jpg")
    assert answer.status_code == 202 and answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    states = [data for name, data in server.events(answer.json()["id"]) if name == "state"]
    fractions = [state["fraction"] for state in states]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert states[-1]["state"] == "done" and states[-1]["items"][0]["size"] == [240, 160]
    result = server.http.get(states[-1]["result"])
    assert result.headers["content-type"] == "image/jpeg"
    assert "cat-stained_glass.jpg" in result.headers["content-disposition"]
    image = opened(result.content)
    assert image.size == (240, 160) and image.getpixel((9, 9)) == pytest.approx((0, 255, 255), abs=3)


def test_a_final_picture_has_the_size_and_format_of_the_settings(server: Client) -> None:
    photo = server.send(sample())
    for format, kind in ("png", "PNG"), ("webp", "WEBP"), ("tif", "TIFF"), ("jpg", "JPEG"):
        id = server.start([photo], [STYLE], settings={"size": 96}, format=format).json()["id"]
        assert server.end_of(id)["name"] == f"photo-stained_glass.{format}"
        image = opened(server.http.get(f"/api/jobs/{id}/result").content)
        assert (image.format, image.size) == (kind, (96, 64))
    assert [order.settings.size for order in server.painter.orders] == [96] * 4


def test_a_newer_preview_of_a_page_stops_the_older_ones(server: Client) -> None:
    server.painter.gate.clear()
    photo = server.send(sample())
    jobs = [server.start([photo], [STYLE], page="a", kind="preview").json()["id"] for _ in range(3)]
    other = server.start([photo], [STYLE], page="b", kind="preview").json()["id"]
    assert [server.http.get(f"/api/jobs/{id}").json()["state"] for id in jobs[:2]] == ["stopped", "stopped"]
    server.painter.gate.set()
    assert server.end_of(jobs[2])["state"] == "done" and server.end_of(other)["state"] == "done"


def test_hundreds_of_quick_changes_end_with_the_last(server: Client, temp: Path) -> None:
    photo = server.send(sample(), page="a")
    last = ""
    for number in range(300):
        settings = {"seed": number}
        last = server.start([photo], [STYLE], page="a", kind="preview", settings=settings).json()["id"]
    assert server.end_of(last)["state"] == "done"
    assert server.painter.orders[-1].settings.seed == 299
    assert len(files_of(temp)) <= 2 + 2  # the photograph with its view, and the last results


def test_finals_have_their_turn_between_previews(server: Client) -> None:
    server.painter.gate.clear()
    photo = server.send(sample())
    first = server.start([photo], [STYLE], kind="preview", settings={"seed": 100}).json()["id"]
    wait(server.painter.began)
    jobs = [server.start([photo], [STYLE], kind="preview", settings={"seed": n}).json()["id"] for n in range(20)]
    jobs.append(server.start([photo], [STYLE], kind="final", settings={"seed": 101}).json()["id"])
    server.painter.gate.set()
    for id in (first, *jobs):
        assert server.end_of(id)["state"] == "done"
    seeds = [order.settings.seed for order in server.painter.orders]
    assert seeds[:9] == [100, *range(7), 101]  # after eight previews in a row
    assert sorted(seeds) == [*range(20), 100, 101]


def test_dials_stay_alive_while_a_final_picture_is_painted(server: Client) -> None:
    server.painter.endless = lambda order: order.settings.seed == 7
    photo = server.send(sample())
    final = server.start([photo], [STYLE], page="a", settings={"seed": 7}).json()["id"]
    wait(server.painter.began)
    for _ in range(3):
        preview = server.start([photo], [STYLE], page="a", kind="preview").json()["id"]
        assert server.end_of(preview)["state"] == "done"
        assert server.http.get(f"/api/jobs/{preview}/result").status_code == 200
        assert server.http.get(f"/api/jobs/{final}").json()["state"] == "painting"
    assert server.http.delete(f"/api/jobs/{final}").status_code == 204
    wait(server.painter.ended)
    assert server.end_of(server.start([photo], [STYLE], page="a").json()["id"])["state"] == "done"


def test_a_stopped_job_leaves_nothing(server: Client, temp: Path) -> None:
    server.painter.gate.clear()
    photo = server.send(sample())
    before = files_of(temp)
    id = server.start([photo], [STYLE]).json()["id"]
    wait(server.painter.began)
    waiting = server.start([photo], [STYLE]).json()["id"]
    assert server.http.get(f"/api/jobs/{waiting}").json()["ahead"] == 1
    for job in (id, waiting):
        assert server.http.delete(f"/api/jobs/{job}").status_code == 204
        assert server.http.get(f"/api/jobs/{job}").json()["state"] == "stopped"
        assert server.http.get(f"/api/jobs/{job}/result").status_code == 409
    server.painter.gate.set()
    assert server.end_of(server.start([photo], [STYLE]).json()["id"])["state"] == "done"
    assert len(files_of(temp)) == len(before) + 1
    assert len(server.painter.orders) == 2


def test_a_preview_that_nobody_follows_any_more_is_stopped(server: Client) -> None:
    server.painter.endless = lambda order: True
    photo = server.send(sample())
    id = server.start([photo], [STYLE], page="a", kind="preview").json()["id"]
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(f"GET /api/jobs/{id}/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert b"200 OK" in connection.recv(4096)
    assert server.painter.ended.wait(PATIENCE)
    assert server.http.get(f"/api/jobs/{id}").json()["state"] == "stopped"


def test_a_closed_page_takes_its_jobs_and_files_with_it(server: Client, temp: Path) -> None:
    own, other = server.send(sample(), page="a"), server.send(sample(), page="b")
    assert server.end_of(server.start([own], [STYLE], page="a").json()["id"])["state"] == "done"
    server.painter.gate.clear()
    running = server.start([own], [STYLE], page="a").json()["id"]
    waiting = server.start([other], [STYLE], page="b").json()["id"]
    assert server.http.post("/api/pages/a/close").status_code == 204
    server.painter.gate.set()
    assert server.end_of(waiting)["state"] == "done"
    assert server.http.get(f"/api/jobs/{running}").status_code == 404
    assert server.http.get(f"/api/pictures/{own}").status_code == 404
    assert {name[:22] for name in files_of(temp)} >= {other[:22]} and not any(own in name for name in files_of(temp))


def test_many_photographs_come_back_as_a_folder_in_a_zip_file(server: Client) -> None:
    photos = [
        server.send(sample(colour), name) for colour, name in (("red", "a.png"), ("blue", "b.gif"), ("lime", "a.png"))
    ]
    id = server.start(photos, [STYLE], format="jpg").json()["id"]
    end = server.end_of(id)
    assert end["name"] == "painted.zip" and [item["state"] for item in end["items"]] == ["done"] * 3
    answer = server.http.get(f"/api/jobs/{id}/result")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = ["a-stained_glass.jpg", "b-stained_glass.jpg", "a-stained_glass-2.jpg"]
        assert archive.namelist() == [f"painted/{name}" for name in names]
        colours = [opened(archive.read(name)).getpixel((1, 1)) for name in archive.namelist()]
    assert colours == [pytest.approx(c, abs=4) for c in ((0, 255, 255), (255, 255, 0), (255, 0, 255))]
    small = server.http.get(f"/api/jobs/{id}/thumbnails/2")
    assert small.headers["content-type"] == "image/jpeg" and opened(small.content).size == (48, 32)
    assert server.http.get(f"/api/jobs/{id}/thumbnails/3").status_code == 404


def test_a_photograph_that_fails_does_not_end_the_others(server: Client) -> None:
    def fail(order: Order) -> None:
        if order.content.name == "b.png":
            raise PictureError("b.png: cannot be painted")

    server.painter.fail = fail
    photos = [server.send(sample(), name) for name in ("a.png", "b.png", "c.png")]
    end = server.end_of(server.start(photos, [STYLE]).json()["id"])
    assert end["state"] == "done" and [item["state"] for item in end["items"]] == ["done", "failed", "done"]
    assert end["items"][1]["error"] == "b.png: cannot be painted"
    end = server.end_of(server.start(photos[1:2], [STYLE], folder=True).json()["id"])
    assert end["state"] == "failed" and end["error"] == "b.png: cannot be painted"


def test_an_unexpected_error_says_nothing_of_the_inside(server: Client, caplog: pytest.LogCaptureFixture) -> None:
    def fail(order: Order) -> None:
        raise RuntimeError("/secret/place")

    server.painter.fail = fail
    id = server.start([server.send(sample())], [STYLE]).json()["id"]
    end = server.end_of(id)
    assert end["state"] == "failed" and end["error"] == "the server failed (RuntimeError); its log says where"
    assert server.http.get(f"/api/jobs/{id}/result").status_code == 500
    assert "/secret/place" in caplog.text


def test_the_queue_is_bounded_for_all_and_for_each_page(temp: Path) -> None:
    limits = Limits(waiting_jobs=4, jobs_per_page=3, requests_per_second=1e6, burst=10**6)
    painter = FakePainter()
    painter.gate.clear()
    with serving(painter, limits) as server:
        photo = server.send(sample())
        answers = [server.start([photo], [STYLE], page="a") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert "this page" in answers[3].json()["error"] and answers[3].headers["retry-after"] == "2"
        answers = [server.start([photo], [STYLE], page="b") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 429]


def test_a_picture_that_takes_too_long_is_given_up(temp: Path) -> None:
    with serving(limits=Limits(job_seconds=-1)) as server:
        end = server.end_of(server.start([server.send(sample())], [STYLE]).json()["id"])
    assert end["state"] == "failed" and end["status"] == 503 and "took longer" in end["error"]


def test_the_private_folder_goes_with_the_server(temp: Path) -> None:
    with serving() as server:
        server.send(sample())
        assert files_of(temp)
        assert oct(next(temp.glob("styleshuffle-web-*")).stat().st_mode)[-3:] == "700"
    assert not list(temp.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"contents": []}, "contents: give a list"),
        ({"contents": ["../../etc/passwd"]}, "contents: an id is at most"),
        ({"styles": []}, "styles: give a list"),
        ({"styles": [STYLE] * 17}, "styles: there are 17; a picture takes"),
        ({"styles": [{"id": STYLE, "weight": "much"}]}, "a weight is a number"),
        ({"settings": {"strength": 2}}, "strength: 2 is out of range"),
        ({"settings": {"strenth": 0.5}}, "did you mean strength"),
        ({"settings": [1]}, "settings: must be an object"),
        ({"kind": "draft"}, "kind: use preview or final"),
        ({"format": "exe"}, "format: use one of"),
        ({"side": 99999, "kind": "preview"}, "side: use whole numbers"),
        ({"page": "a/b"}, "page: an id is at most"),
        ({"colour": "red"}, "colour: no such key"),
    ],
)
def test_a_wrong_request_is_refused_by_one_sentence(server: Client, change: dict[str, object], says: str) -> None:
    from web_server import httpx

    answer: httpx.Response = server.http.post("/api/jobs", json={"contents": ["x"], "styles": [STYLE], **change})
    assert answer.status_code == 422 and says in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_what_the_library_cannot_paint_is_refused(temp: Path) -> None:
    with serving(abilities=Abilities(styles=1, strength_mask=False, regions=False)) as server:
        photo = server.send(sample())
        for styles, change, says in (
            ([STYLE], {"strength_mask": photo}, "strength_mask: this version cannot"),
            ([STYLE], {"regions": photo}, "regions: this version cannot"),
            ([{"id": STYLE, "regions": photo}], {}, "regions: this version cannot"),
            ([STYLE, STYLE], {}, "styles: there are 2; a picture takes one style"),
        ):
            answer = server.start([photo], styles, **change)
            assert answer.status_code == 422 and answer.json()["error"].startswith(says)


@pytest.mark.parametrize(
    ("settings", "status", "says"),
    [({"size": 32768}, 413, "size: "), ({"size": 6000, "work_size": 8000}, 413, "work_size: ")],
)
def test_results_that_are_too_large_are_refused(server: Client, settings: dict[str, int], status: int, says: str) -> None:
    answer = server.start([server.send(sample())], [STYLE], settings=settings)
    assert answer.status_code == status and answer.json()["error"].startswith(says)


def test_pictures_that_are_not_there_are_refused(server: Client) -> None:
    photo = server.send(sample())
    for contents, styles in ([photo], ["sample-none"]), (["x" * 22], [STYLE]):
        assert server.start(contents, styles).status_code == 404
    assert server.http.delete(f"/api/pictures/{photo}").status_code == 204
    assert server.start([photo], [STYLE]).status_code == 404


def test_a_deleted_picture_still_serves_the_jobs_that_hold_it(server: Client, temp: Path) -> None:
    server.painter.gate.clear()
    photo = server.send(sample())
    jobs = [server.start([photo], [STYLE]).json()["id"] for _ in range(2)]
    server.http.delete(f"/api/pictures/{photo}")
    server.painter.gate.set()
    assert [server.end_of(id)["state"] for id in jobs] == ["done", "done"]
    assert len(files_of(temp)) == 2  # the results
