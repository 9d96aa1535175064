"""The page of `styleshuffle-web` in headless Chromium: screenshots, and the time from a dial to the picture.

It needs Debian's chromium and chromium-driver, and selenium. `web.py` makes the page.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from common import SAMPLES
from PIL import Image

WIDTHS = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}  # in pixels of CSS
PATIENCE = 120  # seconds


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        raise click.UsageError("the page needs a browser; apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield page
    finally:
        page.quit()


def until(page: Any, code: str) -> Any:
    """Wait until JavaScript says yes."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, PATIENCE, poll_frequency=0.02).until(lambda page: page.execute_script(f"return {code}"))


def painted_page(page: Any, url: str) -> None:
    """Open the page, and give it two photographs."""
    page.get(url)
    until(page, "document.documentElement.dataset.ready")
    for name in ("cat.jpg", "coffee.jpg"):
        page.find_element("id", "file-photo").send_keys(str(SAMPLES / "content" / name))
        until(page, f"[...document.querySelectorAll('#photos .card')].some((card) => card.title === '{name}')")
    until(page, "document.getElementById('stage').dataset.painted")


def next_preview(page: Any, change: Callable[[], object]) -> float:
    """Change something, and wait for the preview; seconds by the browser's clock."""
    before = page.execute_script("return Number(document.getElementById('stage').dataset.painted)")
    change()
    until(page, f"Number(document.getElementById('stage').dataset.painted) > {before}")
    return float(page.execute_script("return Number(document.getElementById('stage').dataset.milliseconds)")) / 1000


def turn(page: Any, setting: str, value: float) -> None:
    code = f"const dial = document.querySelector('[data-setting={setting}]'); dial.value = {value};"
    page.execute_script(code + "dial.dispatchEvent(new Event('input'))")


def screenshots(page: Any, url: str, folder: Path) -> None:
    """A picture of the page at each width, light and dark in turn."""
    for number, (name, (width, height)) in enumerate(WIDTHS.items()):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": name == "phone"}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if number == 1 else "light"}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        painted_page(page, url)
        style = page.find_element("css selector", "[data-id=sample-swirling_night]")
        next_preview(page, lambda style=style: page.execute_script("arguments[0].click()", style))
        page.execute_script("scrollTo(0, 0); document.activeElement.blur()")
        with Image.open(io.BytesIO(page.get_screenshot_as_png())) as image:
            image.convert("RGB").save(folder / f"web_{name}.jpg", quality=85)
