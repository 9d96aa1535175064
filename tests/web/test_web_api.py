"""The interface for scripts: forms, recipes, the description, and what the page builds its dials from."""

from __future__ import annotations

import io
import shlex
import socket
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT
from web_server import PATIENCE, Client, FakePainter, files_of, httpx, opened, png, sample, serving, until

from styleshuffle import Settings
from styleshuffle.images import read_recipe
from styleshuffle.recipes import recipe_from_json, sha256_of
from styleshuffle.settings import rule_of
from styleshuffle.web.limits import Limits
from styleshuffle.web.openapi import description
from styleshuffle.web.painter import Abilities
from styleshuffle.web.requests import settings_of

STYLE = "sample-stained_glass"
CONTENT = ("photo.png", png(sample("red")), "image/png")


def paint(server: Client, files: list[tuple[str, Any]], **fields: Any) -> httpx.Response:
    answer: httpx.Response = server.http.post("/api/paint", files=files, data=fields)
    return answer


def test_a_form_with_both_pictures_gives_the_picture(server: Client, temp: Path) -> None:
    files = [("content", CONTENT), ("style", ("painting.png", png(sample("blue")), "image/png"))]
    answer = paint(server, files, strength="0.8", size="96", recolour="off", levels="4,3,2", format="webp")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    assert "photo-painting.webp" in answer.headers["content-disposition"]
    assert opened(answer.content).size == (96, 64)
    order = server.painter.orders[0]
    assert order.settings == Settings(strength=0.8, size=96, recolour=False, levels=(4, 3, 2))
    assert order.styles[0].picture.name == "painting.png"
    until(lambda: not files_of(temp))


def test_a_form_takes_styles_of_the_library_and_several_photographs(server: Client, temp: Path) -> None:
    answer = paint(server, [("content", CONTENT), ("content", CONTENT)], style=STYLE)
    assert answer.headers["content-type"] == "application/zip"
    assert len(zipfile.ZipFile(io.BytesIO(answer.content)).namelist()) == 2
    until(lambda: not files_of(temp))


def test_a_form_can_start_a_job(server: Client) -> None:
    answer = paint(server, [("content", CONTENT)], style=STYLE, wait="no")
    assert answer.status_code == 202
    assert server.end_of(answer.json()["id"])["state"] == "done"
    assert opened(server.http.get(f"/api/jobs/{answer.json()['id']}/result").content).size == (48, 32)


@pytest.mark.parametrize(
    ("files", "data", "status", "says"),
    [
        ([], {"style": STYLE}, 422, "content: is missing"),
        ([("content", CONTENT)], {}, 422, "style: is missing"),
        ([("content", CONTENT)], {"style": "sample-none"}, 404, "this picture is not here"),
        ([("content", CONTENT)], {"style": STYLE, "strength": "much"}, 422, "strength: 'much' is out of range"),
        ([("content", CONTENT)], {"style": STYLE, "strenght": "1"}, 422, "strenght: no such field"),
        ([("content", CONTENT)], {"style": STYLE, "weight": "x"}, 422, "weight: use a number"),
        ([("content", ("a.png", b"no", "image/png"))], {"style": STYLE}, 422, "a.png: is not"),
        ([("content", CONTENT)], {"style": STYLE, "regions": "none"}, 404, "this picture is not here"),
    ],
)
def test_a_wrong_form_is_refused_and_leaves_nothing(
    server: Client, temp: Path, files: list[Any], data: dict[str, str], status: int, says: str
) -> None:
    answer = paint(server, files or [("format", (None, "png"))], **data)
    assert answer.status_code == status and answer.json()["error"].startswith(says)
    assert not files_of(temp)


def test_a_form_whose_client_vanishes_stops_its_job(server: Client, temp: Path) -> None:
    server.painter.endless = lambda order: True
    url = f"{server.url}/api/paint"
    request = httpx.Request("POST", url, files=[("content", CONTENT)], data={"style": STYLE})
    with socket.create_connection((request.url.host, request.url.port), PATIENCE) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        connection.sendall(f"POST /api/paint HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        assert server.painter.began.wait(PATIENCE) and not server.painter.ended.is_set()
    assert server.painter.ended.wait(PATIENCE)
    until(lambda: not files_of(temp))


def test_json_must_be_json(server: Client) -> None:
    post = server.http.post
    assert post("/api/jobs", content=b"{}").status_code == 415  # so that a form of another site cannot pass for it
    kind = {"Content-Type": "application/json"}
    for wrong in b"{", b"\xff", b"[" * 60_000:
        assert post("/api/jobs", content=wrong, headers=kind).status_code == 400
    assert post("/api/jobs", content=b"[]", headers=kind).status_code == 422


# ------------------------------------------------------------------------------------------------------- settings


def test_every_setting_becomes_a_dial(server: Client) -> None:
    options = server.http.get("/api/options").json()
    dials = {setting["name"]: setting for setting in options["settings"]}
    assert set(dials) == {setting.name for setting in fields(Settings)}
    for setting in fields(Settings):
        dial, rule = dials[setting.name], rule_of(setting)
        assert (dial["help"], dial["low"], dial["high"], dial["kind"]) == (
            rule.help,
            rule.low,
            rule.high,
            rule.kind.__name__,
        )
        assert dial["first"] is not None or setting.name not in ("strength", "style_scale", "seed", "evening")
    assert settings_of({name: dial["default"] for name, dial in dials.items()}) == Settings()


def test_a_setting_may_have_a_value_for_each_style() -> None:
    assert settings_of({"style_scale": [0.5, 1]}).style_scale == (0.5, 1)
    assert settings_of({"style_scale": "0.5,1"}).style_scale == (0.5, 1)
    assert settings_of({"style_scale": "0.5"}).style_scale == 0.5


def test_settings_come_as_values_or_as_text() -> None:
    values = {"strength": 0.25, "seed": 3, "recolour": False, "levels": [4, 3], "optimizer": "adam", "refine": None}
    texts = {"strength": "0.25", "seed": "3", "recolour": "false", "levels": "4, 3", "optimizer": "adam", "refine": ""}
    expected = Settings(strength=0.25, seed=3, recolour=False, levels=(4, 3), optimizer="adam")
    assert settings_of(values) == settings_of(texts) == expected


def test_the_page_hears_what_the_library_can_paint(temp: Path) -> None:
    with serving(abilities=Abilities(styles=4, strength_mask=True, regions=True)) as server:
        assert server.http.get("/api/options").json()["abilities"] == {
            "styles": 4,
            "strength_mask": True,
            "regions": True,
        }
        photo, mask = server.send(sample()), server.send(sample("white"), "mask.png")
        styles = [{"id": STYLE, "weight": 3, "regions": mask}, {"id": "sample-pen_engraving", "weight": 1}]
        answer = server.start([photo], styles, strength_mask=mask, regions=mask)
        assert server.end_of(answer.json()["id"])["state"] == "done"
        order = server.painter.orders[0]
        assert [style.picture.name for style in order.styles] == ["stained_glass.jpg", "pen_engraving.jpg"]
        assert order.settings.style_weights == (3.0, 1.0)
        assert order.strength_mask and order.regions and order.styles[0].regions and not order.styles[1].regions


# -------------------------------------------------------------------------------------------------------- recipes


def test_the_copied_command_and_lines_are_those_that_make_the_picture(server: Client, tmp_path: Path) -> None:
    photo = server.send(sample(), "my cat's.png")
    settings = {"strength": 0.8, "levels": [4, 3, 2], "recolour": False, "seed": 7, "refine": 0}
    mask = server.send(sample("white"), "mask.png")
    data = {"contents": [photo], "styles": [STYLE], "settings": settings, "format": "jpg", "strength_mask": mask}
    recipe = server.http.post("/api/recipe", json=data).json()

    from styleshuffle.commands.stylize import main

    name, *arguments = shlex.split(recipe["command"])
    context = main.make_context(name, list(arguments))
    given = context.params
    assert (given["styles"], given["strength_mask"]) == (("stained_glass.jpg",), "mask.png")
    assert (given["content"], given["output"]) == ("my cat's.png", "my cat's-stained_glass.jpg")
    wanted = settings_of(settings)
    assert Settings(**{setting.name: given[setting.name] for setting in fields(Settings)}) == wanted
    lines: dict[str, Any] = {}
    text = recipe["python"].replace("from styleshuffle import Stylizer", "")
    exec(text, {"Stylizer": lambda **values: lines.update(values) or _Said(lines)})
    assert Settings(**{key: value for key, value in lines.items() if key in vars(wanted)}) == wanted
    assert lines["said"] == [
        ("set_style", "stained_glass.jpg", {}),
        ("stylize", "my cat's.png", {"strength_mask": "mask.png"}),
        ("save", "my cat's-stained_glass.jpg", {}),
    ]


class _Said:
    """Notes the calls of the copied lines."""

    def __init__(self, lines: dict[str, Any]) -> None:
        self._said = lines.setdefault("said", [])

    def __getattr__(self, name: str) -> Any:
        return lambda value, **more: self._said.append((name, value, more)) or self


def test_several_styles_and_regions_are_in_the_recipe(temp: Path) -> None:
    with serving(abilities=Abilities(styles=4, strength_mask=True, regions=True)) as server:
        photo, mask = server.send(sample(), "-o.png"), server.send(sample(), "parts.png")
        styles = [{"id": STYLE, "weight": 3, "regions": mask}, {"id": "sample-pen_engraving", "regions": mask}]
        recipe = server.http.post("/api/recipe", json={"contents": [photo], "styles": styles, "regions": mask}).json()
    assert recipe["command"] == (
        "styleshuffle o.png stained_glass.jpg pen_engraving.jpg -o o-stained_glass-pen_engraving.png "
        "--mask parts.png --style-mask parts.png --style-mask parts.png --style-weights 3.0,1.0"
    )
    assert "set_style(['stained_glass.jpg', 'pen_engraving.jpg'], masks=['parts.png', 'parts.png'])" in recipe["python"]
    assert "stylize('o.png', mask='parts.png')" in recipe["python"] and "style_weights=(3.0, 1.0)" in recipe["python"]


def test_the_recipe_is_in_the_file(server: Client, tmp_path: Path) -> None:
    photo = server.send(sample(), "cat.png")
    for format in "png", "jpg", "webp", "tif":
        id = server.start([photo], [STYLE], settings={"strength": 0.7}, format=format).json()["id"]
        assert server.end_of(id)["state"] == "done"
        path = tmp_path / f"result.{format}"
        path.write_bytes(server.http.get(f"/api/jobs/{id}/result").content)
        recipe = recipe_from_json(read_recipe(path))
        assert recipe.settings == Settings(strength=0.7)
        assert (recipe.content.path, recipe.styles[0].path) == ("cat.png", "stained_glass.jpg")
        assert recipe.styles[0].sha256 == sha256_of(ROOT / "samples" / "style" / "stained_glass.jpg")
        assert str(tmp_path).encode() not in path.read_bytes()  # nothing of where the server keeps things


# ------------------------------------------------------------------------------------------------ the description


def test_the_description_names_every_address_and_every_setting(server: Client) -> None:
    from styleshuffle.web.app import _Web

    told = server.http.get("/api/openapi.json").json()
    routes = _Web(None, FakePainter(), Abilities(1, False, False), Limits()).app().routes
    addresses = {
        (route.path.replace(":int", ""), method.lower())
        for route in routes
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD" and "openapi" not in route.path
    }
    assert {(path, method) for path, methods in told["paths"].items() for method in methods} == addresses
    assert set(told["components"]["schemas"]["Settings"]["properties"]) == {setting.name for setting in fields(Settings)}


def test_references_in_the_description_lead_somewhere() -> None:
    import json
    import re

    told = description(Limits())
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    assert references <= set(told["components"]["schemas"]) and "Settings" in references


def test_limits_are_told(temp: Path) -> None:
    with serving(limits=replace(Limits(), upload_bytes=3 * 2**20)) as server:
        assert server.http.get("/api/options").json()["limits"]["upload_bytes"] == 3 * 2**20
        assert "At most 3 MiB" in server.http.get("/api/openapi.json").text
