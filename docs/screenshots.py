"""Take the README's images of the page: `python docs/screenshots.py` (needs requirements-dev.txt and a Chromium).

Opens the page on an empty data folder of its own, drives it like a visitor, and writes docs/*.png.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).parent
ROOT = DOCS.parent
IMAGES = ROOT / "tests" / "images"
PATIENCE = 120  # seconds for one step


@contextmanager
def server():
    """The address of the page on a new data folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "app.py", "--data-dir", str(Path(folder) / "data"), "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            wait_until_up(f"http://127.0.0.1:{port}/")
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait()


def wait_until_up(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def upload(page: Page, element: str, *files: Path) -> None:
    page.locator(f"#{element} input[type=file]").set_input_files([str(file) for file in files])


def score(page: Page) -> None:
    upload(page, "score-files", IMAGES / "lake_pristine.jpg")
    page.locator("#score-chart .js-plotly-plot .legend").wait_for()


def compare(page: Page) -> None:
    open_tab(page, "Compare")
    upload(page, "compare-file", IMAGES / "oranges_shaken.jpg")
    page.locator("#compare-chart .js-plotly-plot .legend").wait_for()


def rate(page: Page) -> None:
    """Rate four of the examples by their names; the last one's score stands revealed."""
    open_tab(page, "Rate")
    page.locator("#rate-examples").click()
    page.locator(".notice").wait_for()
    page.locator("#rate-name").get_by_role("textbox").fill("Ada")
    page.locator("#rate-start").click()
    page.locator(".to-rate img").wait_for()
    names = [path.stem for path in sorted(IMAGES.glob("*.jpg"))]  # the order in which the page shows them
    for n, name in enumerate(names[:4]):
        if n:
            page.locator("#rate-next").click()
            page.get_by_test_id("revealed").wait_for(state="detached")
            page.locator("#rate-word input:enabled").first.wait_for()
        page.keyboard.press("3" if name.endswith("pristine") else "1")
        page.wait_for_timeout(300)
        page.keyboard.press("Enter")
        page.get_by_test_id("revealed").wait_for()
    shoot(page, "rate")


def shoot(page: Page, name: str) -> None:
    """An image of the page to its end."""
    page.evaluate("document.activeElement?.blur?.()")
    page.wait_for_timeout(1200)
    path = DOCS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    print(f"{path.relative_to(ROOT)} {path.stat().st_size // 1000} kB")


def main() -> None:
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "google-chrome-stable"))), None)
    with server() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])

        def visit(**options) -> Page:
            page = browser.new_context(**{"viewport": {"width": 1240, "height": 800}, **options}).new_page()
            page.set_default_timeout(1000 * PATIENCE)
            page.goto(url)
            return page

        page = visit()
        score(page)
        shoot(page, "page")
        page = visit()
        compare(page)
        shoot(page, "compare")
        page = visit(color_scheme="dark")
        score(page)
        shoot(page, "dark")
        page = visit(viewport={"width": 390, "height": 844})
        score(page)
        shoot(page, "phone")
        page = visit()
        rate(page)
        browser.close()


if __name__ == "__main__":
    main()
