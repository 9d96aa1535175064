"""The page in a real browser: headless Chromium drops files, turns dials, stops, brushes and downloads.

Debian has both programs: ``apt-get install chromium chromium-driver``. The test of accessibility needs axe-core:
``npm pack axe-core``, and the environment variable AXE_CORE with the path of its axe.min.js.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import sample_image
from PIL import Image
from web_server import PATIENCE, Client, FakePainter, opened, png, sample, serving

from styleshuffle.web.painter import Abilities, Painter

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser tests need selenium")
CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not CHROMIUM or not DRIVER, reason="there is no browser: apt-get install chromium chromium-driver"
)
AXE = os.environ.get("AXE_CORE", "")
ALL = Abilities(styles=4, strength_mask=True, regions=True)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-extensions",
    ):
        options.add_argument(argument)
    options.add_argument("--disable-background-networking")
    options.add_argument("--use-fake-device-for-media-stream")  # a camera that shows a green picture
    options.add_argument("--use-fake-ui-for-media-stream")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Page:
    """The page, with what a person does on it."""

    def __init__(self, driver: Any, server: Client, downloads: Path) -> None:
        self.driver, self.server, self.downloads = driver, server, downloads
        driver.set_window_size(1200, 900)
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        driver.get_log("performance"), driver.get_log("browser")
        driver.get(server.url)
        self.until(lambda: self.js("return document.documentElement.dataset.ready"))

    def js(self, code: str, *arguments: object) -> Any:
        return self.driver.execute_script(code, *arguments)

    def until(self, condition: Callable[[], Any]) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE, poll_frequency=0.02).until(lambda driver: condition())

    def get(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def shown(self, selector: str) -> bool:
        return bool(self.get(selector).is_displayed())

    def text(self, selector: str) -> str:
        return str(self.get(selector).text)

    def click(self, selector: str) -> None:
        self.js("arguments[0].scrollIntoView({block: 'center'})", self.get(selector))
        self.get(selector).click()

    def drop(self, path: Path, selector: str = "#stage") -> None:
        """Drop a file or a folder, as the browser itself gets it from the desktop."""
        self.js("arguments[0].scrollIntoView({block: 'center'})", self.get(selector))
        x, y = self.js(
            "const box = arguments[0].getBoundingClientRect(); return [box.left + 30, box.top + 30]", self.get(selector)
        )
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})

    def painted(self) -> int:
        """How many previews were shown so far."""
        return int(self.js("return Number(document.getElementById('stage').dataset.painted ?? 0)"))

    def next_preview(self, change: Callable[[], object]) -> None:
        """Do something, and wait for the preview that follows."""
        before = self.painted()
        change()
        self.until(lambda: self.painted() > before)

    def turn(self, setting: str, value: object) -> None:
        """Turn a dial, as the browser does when a person moves it."""
        code = "arguments[0].value = arguments[1]; for (const kind of ['input', 'change']) "
        code += "arguments[0].dispatchEvent(new Event(kind, {bubbles: true}))"
        self.js(code, self.get(f"[data-setting={setting}]"), value)

    def colour(self, id: str, x: float = 0.5, y: float = 0.5) -> list[int]:
        """The colour of a shown picture, at shares of its width and height."""
        code = """const image = document.getElementById(arguments[0]), canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        const place = [Math.floor(arguments[1] * canvas.width), Math.floor(arguments[2] * canvas.height)];
        return [...context.getImageData(...place, 1, 1).data].slice(0, 3)"""
        return list(self.js(code, id, x, y))

    def downloaded(self, name: str) -> Path:
        self.until(lambda: (self.downloads / name).exists())
        return self.downloads / name

    def complaints(self) -> list[str]:
        """What the browser's console says: errors of scripts, refusals by the Content-Security-Policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def foreign_requests(self) -> set[str]:
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
        return {url for url in urls if not url.startswith((self.server.url, "data:", "blob:"))}


@pytest.fixture
def open_page(chromium: Any, temp: Path) -> Iterator[Callable[..., Page]]:
    """Open the page of a server that is made with the given arguments. At the end nothing may have gone wrong in it."""
    import contextlib

    with contextlib.ExitStack() as stack:
        pages = []

        def open_page(painter: Any = None, **options: Any) -> Page:
            server = stack.enter_context(serving(painter, **options))
            downloads = temp / "downloads"
            downloads.mkdir()
            pages.append(Page(chromium, server, downloads))
            return pages[0]

        yield open_page
        assert not pages[0].complaints() and not pages[0].foreign_requests()
        chromium.get("about:blank")  # before the server goes


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Left red, right black."""
    image = Image.new("RGB", (300, 200), "black")
    image.paste("red", (0, 0, 150, 200))
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def near(colour: tuple[int, int, int]) -> Any:
    return pytest.approx(list(colour), abs=12)


# ------------------------------------------------------------------------------------------------------------ painting


def test_a_photograph_is_dropped_painted_turned_and_taken_home(open_page: Callable[..., Page], photo: Path) -> None:
    page = open_page()
    assert page.shown("#empty") and not page.shown("#shown")
    page.next_preview(lambda: page.drop(photo))
    assert page.colour("photo", 0.2) == near((255, 0, 0)) and page.colour("painting", 0.2) == near((0, 255, 255))
    assert page.text("#status") == "Preview, 300 × 200 pixels."
    page.next_preview(lambda: page.turn("strength", 0.8))
    page.next_preview(lambda: page.click("#another"))
    settings = page.server.painter.orders[-1].settings
    assert (settings.strength, settings.seed, settings.size) == (0.8, 1, 300)
    page.next_preview(lambda: page.click("[data-id=sample-pen_engraving]"))
    assert page.server.painter.orders[-1].styles[0].picture.name == "pen_engraving.jpg"
    page.js("document.getElementById('final-size').value = 600")
    page.js("document.getElementById('final-size').dispatchEvent(new Event('change'))")
    page.js("document.getElementById('format').value = 'webp'")
    page.js("document.getElementById('format').dispatchEvent(new Event('change'))")
    page.click("#paint")
    page.until(lambda: "Download photo-pen_engraving.webp" in page.text("#results"))
    page.click("#results a")
    with Image.open(page.downloaded("photo-pen_engraving.webp")) as image:
        assert (image.format, image.size) == ("WEBP", (600, 400))
    page.next_preview(lambda: page.click("#defaults"))
    assert page.server.painter.orders[-1].settings.strength == 0.5


def test_the_wipe_and_the_zoom_show_what_they_say(open_page: Callable[..., Page], photo: Path) -> None:
    page = open_page()
    page.next_preview(lambda: page.drop(photo))
    wipe = page.get("#wipe")
    clip = "return getComputedStyle(document.getElementById('painting')).clipPath"
    for _ in range(10):
        wipe.send_keys("\ue014")  # arrow right
    assert page.js(clip) == "inset(0px 0px 0px 60%)"
    page.click("#pixels")
    width = "return document.getElementById('canvas').getBoundingClientRect().width * devicePixelRatio"
    assert page.js(width) == pytest.approx(300, abs=1) and page.text("#zoom") == "100 %"
    page.click("#larger")
    page.click("#larger")
    assert page.js(width) == pytest.approx(600, abs=1) and page.text("#zoom") == "200 %"
    page.click("#fit")
    assert page.js("const v = document.getElementById('view'); return v.scrollWidth <= v.clientWidth")


def test_a_picture_can_be_stopped(open_page: Callable[..., Page], photo: Path) -> None:
    painter = FakePainter()
    page = open_page(painter)
    painter.endless = lambda order: True
    page.drop(photo)
    page.until(lambda: page.shown("#stop") and page.js("return !document.getElementById('painting').hidden"))
    assert float(page.get("#progress").get_property("value")) == 0.5
    page.click("#stop")
    page.until(lambda: page.text("#status") == "Stopped.")
    assert painter.ended.wait(PATIENCE) and not page.shown("#progress")
    painter.endless = lambda order: False
    page.next_preview(lambda: page.turn("strength", 0.9))


def test_quick_changes_end_with_the_last(open_page: Callable[..., Page], photo: Path) -> None:
    page = open_page()
    page.next_preview(lambda: page.drop(photo))
    for step in range(100):
        page.turn("strength", step / 100)
    page.until(
        lambda: page.server.painter.orders[-1].settings.strength == 0.99 and page.text("#status").startswith("Preview")
    )


def test_a_folder_is_dropped_and_comes_back_in_a_zip_file(open_page: Callable[..., Page], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("a.png", "b.png", "more/c.png"):
        sample("blue").save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    page = open_page()
    page.drop(folder)
    page.until(lambda: len(page.driver.find_elements("css selector", "#photos li")) == 3)
    page.click("#paint-all")
    page.until(lambda: "Download painted.zip" in page.text("#results"))
    assert len(page.driver.find_elements("css selector", "#results .thumbs img")) == 3
    page.click("#results a")
    with zipfile.ZipFile(page.downloaded("painted.zip")) as archive:
        assert [name[:9] for name in archive.namelist()] == ["painted/a", "painted/b", "painted/c"]
        assert opened(archive.read(archive.namelist()[2])).getpixel((0, 0)) == (255, 255, 0)


def test_what_is_no_picture_is_named_and_the_page_goes_on(
    open_page: Callable[..., Page], photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    page = open_page()
    page.drop(tmp_path / "notes.png")
    page.until(lambda: page.text("#message").startswith("notes.png: is not"))
    page.next_preview(lambda: page.drop(photo))
    assert not page.shown("#message")
    assert "422" in " ".join(page.complaints())  # which the browser notes itself
    page.next_preview(lambda: page.drop(photo, "#styles-panel"))
    assert page.server.painter.orders[-1].styles[0].picture.name == "photo.png"


def test_a_picture_is_pasted(open_page: Callable[..., Page], photo: Path) -> None:
    page = open_page()
    paste = """const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0)), data = new DataTransfer();
    data.items.add(new File([bytes], "image.png", {type: "image/png"}));
    document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}))"""
    page.next_preview(lambda: page.js(paste, base64.b64encode(photo.read_bytes()).decode()))
    assert page.server.painter.orders[-1].content.size == (300, 200)


def test_the_camera_takes_a_photograph(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.click("#empty [data-choose=camera]")
    page.until(lambda: page.js("return document.getElementById('video').videoWidth > 0"))
    page.next_preview(lambda: page.click("#shoot"))
    assert page.server.painter.orders[-1].content.name == "camera.png"
    assert page.js("return document.getElementById('video').srcObject.getTracks().every((t) => t.readyState === 'ended')")


# -------------------------------------------------------------------------------------- several styles, and the brush


def test_several_styles_have_shares(open_page: Callable[..., Page], photo: Path) -> None:
    page = open_page(abilities=ALL)
    page.next_preview(lambda: page.drop(photo))
    page.click("#several")
    page.next_preview(lambda: page.click("[data-id=sample-pen_engraving]"))
    dial = page.get("#weight-1")
    page.next_preview(lambda: page.js("arguments[0].value = 0.25; arguments[0].dispatchEvent(new Event('input'))", dial))
    order = page.server.painter.orders[-1]
    assert [style.picture.name for style in order.styles] == ["autumn_avenue.jpg", "pen_engraving.jpg"]
    assert order.settings.style_weights == (1.0, 0.25)


def test_the_brush_keeps_the_photograph_and_can_be_undone(open_page: Callable[..., Page], photo: Path) -> None:
    from selenium.webdriver import ActionChains

    page = open_page(abilities=ALL)
    page.next_preview(lambda: page.drop(photo))
    assert page.shown("#brush-panel")
    page.click("#brush-on")
    mask = page.get("#mask")
    page.js("document.getElementById('stage').scrollIntoView()")
    stroke = ActionChains(page.driver).move_to_element_with_offset(mask, -100, 0).click_and_hold()
    page.next_preview(lambda: stroke.move_by_offset(60, 0).release().perform())
    drawn = page.server.painter.orders[-1].strength_mask.read().rgb
    assert drawn.shape == (200, 300, 3) and max(drawn[100, 90]) < 9 and drawn[100, 280].tolist() == [255] * 3
    assert 40 < drawn[128, 90, 0] < 215  # the edge is soft
    page.next_preview(lambda: page.click("#undo"))
    assert page.server.painter.orders[-1].strength_mask is None
    page.next_preview(lambda: page.click("#redo"))
    assert page.server.painter.orders[-1].strength_mask is not None
    page.next_preview(lambda: page.click("#clear"))
    assert page.server.painter.orders[-1].strength_mask is None


def test_the_brush_works_by_keyboard_and_marks_parts_of_both_pictures(
    open_page: Callable[..., Page], photo: Path
) -> None:
    page = open_page(abilities=ALL)
    page.next_preview(lambda: page.drop(photo))
    page.click("#brush-on")
    page.click("#brush-targets label:nth-of-type(2) input")  # parts of the photograph
    view = page.get("#view")
    page.next_preview(lambda: view.send_keys("\ue012" * 3 + " "))  # three times arrow left, then paint
    regions = page.server.painter.orders[-1].regions.read().rgb
    assert regions[100, 90].tolist() == [255, 0, 0] and regions[100, 280].tolist() == [128] * 3
    page.click("#brush-targets label:nth-of-type(3) input")  # parts of the style
    page.until(lambda: page.js("return document.getElementById('mask').width") == 720)
    page.next_preview(lambda: view.send_keys(" "))
    style = page.server.painter.orders[-1].styles[0].regions.read().rgb
    assert style.shape == (576, 720, 3) and style[5, 5].tolist() == [128] * 3 and (style == [255, 0, 0]).all(2).any()


def test_without_masks_in_the_library_there_is_no_brush(open_page: Callable[..., Page]) -> None:
    page = open_page(abilities=Abilities(1, False, False))
    assert not page.shown("#brush-panel") and not page.shown("#mixing")


# ------------------------------------------------------------------------------------------------- for all people


def test_the_page_copies_the_command(open_page: Callable[..., Page], photo: Path) -> None:
    page = open_page()
    page.next_preview(lambda: page.drop(photo))
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    page.click("#copy-command")
    page.until(lambda: page.text("#status") == "The command is copied.")
    page.js("navigator.clipboard.writeText = () => Promise.reject()")  # as on another machine without https
    page.click("#copy-python")
    page.until(lambda: page.shown("#recipe"))
    assert "stylizer.stylize('photo.png')" in page.get("#recipe-text").get_property("value")
    page.click("#recipe-close")


def test_the_page_works_at_the_width_of_a_phone(open_page: Callable[..., Page], photo: Path) -> None:
    page = open_page(abilities=ALL)
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        page.next_preview(lambda: page.drop(photo))
        assert page.js("return document.documentElement.scrollWidth") == 360
        small = """return [...document.querySelectorAll("button, input, select, a")].filter((e) => e.offsetParent)
        .filter((e) => Math.min(e.offsetWidth, e.offsetHeight) < (e.matches("a, label > input") ? 16 : 24))
        .map((e) => e.outerHTML)"""
        assert page.js(small) == []
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.skipif(not Path(AXE).is_file(), reason="AXE_CORE does not name axe-core's axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_has_nothing_to_complain_of(open_page: Callable[..., Page], photo: Path, scheme: str) -> None:
    page = open_page(abilities=ALL)
    axe = Path(AXE).read_text(encoding="utf-8")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

    def violations() -> list[tuple[str, list[str]]]:
        page.js(axe)
        code = "const done = arguments[1]; axe.run({runOnly: arguments[0]}).then((all) => done(all.violations))"
        told = page.driver.execute_async_script(code, rules)
        return [(each["id"], [node["html"] for node in each["nodes"]]) for each in told]

    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    assert violations() == []
    page.next_preview(lambda: page.drop(photo))
    page.js("document.getElementById('more').open = true")
    page.click("#several")
    page.next_preview(lambda: page.click("[data-id=sample-pen_engraving]"))
    page.click("#brush-on")
    assert violations() == []
    page.driver.get(f"{page.server.url}/reference.html")
    page.until(lambda: page.js("return document.querySelectorAll('#settings tr').length > 10"))
    assert violations() == []


def test_the_library_paints_in_the_page(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """All other tests of the page use a painter that only inverts colours."""
    (tmp_path / "cat.png").write_bytes(png(sample_image("content/cat.jpg", (128, 96))))
    page = open_page(Painter("cpu"))
    page.next_preview(lambda: page.drop(tmp_path / "cat.png"))
    before = page.colour("painting")
    page.next_preview(lambda: page.turn("strength", 0))
    assert page.colour("painting") != before
    assert page.colour("painting") == pytest.approx(page.colour("photo"), abs=40)
