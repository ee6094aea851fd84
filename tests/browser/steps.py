"""What the tests do on the page again and again."""

from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.programs import ROOT

IMAGES = ROOT / "tests" / "images"
LAKE = IMAGES / "lake_pristine.jpg"
CARD_SCORE = "#score-card .big strong"


def new_image(folder: Path, width: int) -> Path:
    """An image that nobody has rated yet; each width makes another."""
    with Image.open(LAKE) as lake:
        lake.resize((width, 300)).save(folder / f"new_{width}.jpg")
    return folder / f"new_{width}.jpg"


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def upload(page: Page, element: str, *files: Path) -> None:
    page.locator(f"#{element} input[type=file]").set_input_files([str(file) for file in files])


def chart(page: Page, element: str):
    drawn = page.locator(f"#{element} .js-plotly-plot")
    expect(drawn.locator(".legend")).to_be_visible()
    return drawn


def pick_model(page: Page, spec: str, element: str = "model") -> None:
    """Type a model's name, key by key as people do, and press Enter."""
    field = page.locator(f"#{element} input")
    field.click()
    field.press("ControlOrMeta+a")
    field.press_sequentially(spec)
    field.press("Enter")


def score_of(page: Page, image: Path) -> float:
    open_tab(page, "Score")
    upload(page, "score-files", image)
    expect(page.locator("#score-card figcaption")).to_have_text(image.name)
    return float(page.locator(CARD_SCORE).inner_text())


def start_rating(page: Page, name: str) -> None:
    open_tab(page, "Rate")
    page.locator("#rate-name").get_by_role("textbox").fill(name)
    page.locator("#rate-start").click()
    expect(page.locator(".to-rate img")).to_be_visible()


def open_disagreement(page: Page) -> None:
    page.locator("#disagree").get_by_role("button", name="I disagree").click()
    expect(page.locator("#disagree-name").get_by_role("textbox")).to_be_visible()
