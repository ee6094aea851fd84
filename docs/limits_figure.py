"""Draw docs/limits.jpg: what nano gets wrong, found by looking for it among the example images.

    python docs/limits_figure.py

Above, the damage that it minds least, each beside the image undamaged; below, what is no photograph. Under each its score.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model.images.damage import KINDS, degrade  # noqa: E402
from model.images.decoding import open_image  # noqa: E402
from model.scoring.scorer import Scorer, load_scorer  # noqa: E402

SEVERITY = 0.6  # where people see every kind at a glance
PAIRS = 3
TILE, MARGIN, CAPTION = 300, 16, 58
INK, PAPER = "#1f2430", "#ffffff"

Shown = tuple[Image.Image, str, float]  # an image, what it is, its score


def overlooked(scorer: Scorer) -> list[tuple[Shown, Shown]]:
    """The pairs (undamaged, damaged) of which the scores fall least, one a kind of damage, least first."""
    pairs = {}
    for path in sorted((ROOT / "tests" / "images").glob("*_pristine.jpg")):
        whole = open_image(path)
        damaged = [degrade(whole, kind, SEVERITY, seed=0) for kind in KINDS]
        before, *after = (found.score for found in scorer.assess([whole, *damaged]))
        for kind, image, score in zip(KINDS, damaged, after, strict=True):
            pair = ((whole, "undamaged", before), (image, kind.replace("_", " "), score))
            if kind not in pairs or before - score < fall(pairs[kind]):
                pairs[kind] = pair
    return sorted(pairs.values(), key=fall)[:PAIRS]


def fall(pair: tuple[Shown, Shown]) -> float:
    (_, _, before), (_, _, after) = pair
    return before - after


def no_photographs(scorer: Scorer) -> list[Shown]:
    """Things that are as sharp and clean as can be, and not what nano learnt from."""
    drawing = Image.new("RGB", (640, 480), "#f4efe2")
    pen = ImageDraw.Draw(drawing)
    pen.ellipse((380, 60, 520, 200), fill="#e8a33d")
    pen.polygon([(0, 480), (220, 180), (420, 480)], fill="#35618f")
    pen.polygon([(260, 480), (470, 260), (640, 480)], fill="#4d8a68")
    page = Image.new("RGB", (640, 480), "white")
    lines = (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines()[:26]
    ImageDraw.Draw(page).multiline_text((20, 16), "\n".join(lines), "black", ImageFont.load_default(14), spacing=3)
    images = {
        "a drawing": drawing,
        "a page of text": page,
        "a screenshot": open_image(ROOT / "docs" / "phone.png"),
        "one colour": Image.new("RGB", (640, 480), "#7f8c9b"),
    }
    found = scorer.assess(list(images.values()))
    return [(image, name, one.score) for (name, image), one in zip(images.items(), found, strict=True)]


def sheet(rows: list[tuple[str, list[Shown]]]) -> Image.Image:
    """Rows of captioned images, each under a heading."""
    columns = max(len(shown) for _, shown in rows)
    step = TILE + CAPTION + 44
    paper = Image.new("RGB", (columns * (TILE + MARGIN) + MARGIN, len(rows) * step + MARGIN), PAPER)
    pen = ImageDraw.Draw(paper)
    for n, (heading, shown) in enumerate(rows):
        top = MARGIN + n * step
        pen.text((MARGIN, top), heading, INK, ImageFont.load_default(22))
        for column, (image, name, score) in enumerate(shown):
            left = MARGIN + column * (TILE + MARGIN)
            paper.paste(ImageOps.fit(image, (TILE, TILE)), (left, top + 36))
            pen.text((left, top + 40 + TILE), f"{name}: {score:.2f}", INK, ImageFont.load_default(20))
    return paper


def main() -> None:
    scorer = load_scorer("nano")
    pairs = [shown for pair in overlooked(scorer) for shown in pair]
    rows = [(f"Damage of severity {SEVERITY} that nano minds least, beside the image without it", pairs)]
    rows.append(("Not photographs, but all of them flawless", no_photographs(scorer)))
    target = ROOT / "docs" / "limits.jpg"
    sheet(rows).save(target, quality=88, optimize=True)
    print(target)


if __name__ == "__main__":
    main()
