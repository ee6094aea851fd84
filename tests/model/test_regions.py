"""Where an image's quality suffers: its quarters' scores, and the command that measures how often they are right."""

import json
from contextlib import redirect_stdout
from io import StringIO

from PIL import Image

from model.images.damage import KINDS, degrade
from model.regions import main
from model.scoring.scorer import load_scorer
from model.scoring.tiles import tile_scores, tiles
from tests.programs import ROOT

LAKE = ROOT / "tests" / "images" / "lake_pristine.jpg"


def test_quarters_cover_the_image_row_by_row():
    image = Image.new("RGB", (301, 201))
    parts = tiles(image)
    assert [part.size for part in parts] == [(150, 100), (151, 100), (150, 101), (151, 101)]
    image.putpixel((300, 0), (255, 0, 0))
    assert tiles(image)[1].getpixel((150, 0)) == (255, 0, 0)


def test_the_damaged_quarter_has_the_lowest_score():
    scorer, image = load_scorer("nano", "cpu"), Image.open(LAKE).convert("RGB")
    width, height = image.size
    place = (width // 2, 0)
    image.paste(degrade(tiles(image)[1], "gaussian_blur", 1, seed=0), place)
    scores = tile_scores(scorer, image)
    assert scores.index(min(scores)) == 1
    assert tile_scores(scorer, image.resize((120, 300))) == []


def test_the_command_counts_by_kind():
    out = StringIO()
    with redirect_stdout(out):
        assert main([str(LAKE), "--device", "cpu", "--severity", "1", "--format", "json"]) == 0
    report = json.loads(out.getvalue())
    assert report["images"] == 1 and set(report["found"]) == set(KINDS)
    assert report["found"]["gaussian_blur"] == report["found"]["jpeg"] == 1
