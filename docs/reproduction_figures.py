"""Take the images of docs/reproduction.md: `python docs/reproduction_figures.py runs` (needs requirements-dev.txt and a Chromium).

Opens the figures that `python -m model.reproduce` wrote into that folder, and writes docs/reproduction-*.png.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent


def main(folder: Path) -> None:
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "google-chrome-stable"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        for figure in sorted(folder.glob("reproduction-*.html")):
            page.goto(figure.resolve().as_uri())
            drawn = page.locator(".js-plotly-plot .main-svg").first
            drawn.wait_for()
            page.wait_for_timeout(500)
            path = DOCS / f"{figure.stem}.png"
            page.locator(".js-plotly-plot").screenshot(path=path)
            print(f"{path.name} {path.stat().st_size // 1000} kB")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
