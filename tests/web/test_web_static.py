"""The files of the page: they load nothing from elsewhere, hold no inline script, and fit together."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("starlette", reason="the page needs starlette: pip install 'styleshuffle[web]'")

from styleshuffle.web.app import STATIC

FILES = {file.name: file.read_text(encoding="utf-8") for file in STATIC.iterdir()}
SCRIPTS = {name: text for name, text in FILES.items() if name.endswith(".js")}
PAGES = {name: text for name, text in FILES.items() if name.endswith(".html")}


def test_nothing_comes_from_elsewhere() -> None:
    for name, text in FILES.items():
        addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", text))
        assert addresses <= {"http://www.w3.org"}, name  # the name space of SVG


def test_there_is_no_inline_script_or_style() -> None:
    for name, text in PAGES.items():
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), name
    for name, text in SCRIPTS.items():
        assert not re.search(r"\beval\(|innerHTML|insertAdjacentHTML|document\.write", text), (
            name
        )  # names come from clients


def test_every_id_that_a_script_asks_for_is_in_a_page() -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', "".join(PAGES.values())))
    asked = {id for text in SCRIPTS.values() for id in re.findall(r'byId\("([\w-]+)"\)', text)}
    assert asked and asked <= ids


def test_every_module_that_is_imported_exists_and_exports_the_name() -> None:
    for name, text in SCRIPTS.items():
        for names, module in re.findall(r'^import \{ (.+?) \} from "\./(.+?)";', text, re.MULTILINE):
            for imported in names.split(", "):
                assert re.search(
                    rf"^export (?:async )?(?:function|const|class) {imported}\b", SCRIPTS[module], re.MULTILINE
                ), name


def test_every_control_of_the_page_has_a_label() -> None:
    page = PAGES["index.html"]
    for control in re.findall(r"<(?:input|select|textarea)\b[^>]*>", page):
        found = re.search(r'\bid="([\w-]+)"', control)
        assert found is not None
        inside = re.search(rf"<label[^>]*>(?:(?!</label>).)*{re.escape(control)}", page, re.DOTALL)
        assert "aria-label" in control or f'for="{found[1]}"' in page or inside, control
