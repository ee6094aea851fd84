"""The gallery shows the images that the model misjudges most, and opens without a network."""

import re

import numpy as np
import pytest

from model.common.errors import DataError
from model.evaluation.gallery import MISSES, RatedScore, scatter, worst_misses, write_gallery
from model.images.decoding import open_image
from tests.bad_images import sample_image

PAIRED = {"first": 0.9, "second": 0.8, "difference": 0.1, "interval": [0.05, 0.15]}
AGAINST = {"model": "<other>", "paired": {"n": 39, "srcc": PAIRED, "plcc": PAIRED | {"difference": None}}}
SCALES = {"scale": [0, 100], "label_scale": None}
REPORT = SCALES | {
    "model": "nano<b>",
    "n": 40,
    "srcc": 0.9,
    "plcc": 0.8,
    "srcc_fitted": 0.9,
    "plcc_fitted": None,
    "krcc": 0.7,
    "krcc_fitted": 0.71,
    "rmse": 0.4,
    "rmse_raw": 0.55,
    "notes": ["the fit is so <steep>"],
}


def scored(folder, count=40):
    """Scores on 0 to 100 that rise with the MOS; image 5 is scored far too high and 30 far too low."""
    random = np.random.default_rng(0)
    mos = np.linspace(1, 5, count)
    scores = 20 * mos + random.normal(0, 2, count)
    scores[5], scores[30] = 95, 25
    paths = [folder / f"{n}.png" for n in range(count)]
    sample_image(400, 300).save(paths[0])
    for path in paths[1:]:
        path.write_bytes(paths[0].read_bytes())
    return [
        RatedScore("a <b> & c.png" if n == 5 else f"{n}.png", paths[n], float(scores[n]), float(mos[n]), 0.5)
        for n in range(count)
    ]


def test_the_largest_errors_come_first_whatever_the_scale(tmp_path):
    high, low = worst_misses(scored(tmp_path))
    assert (high[0], low[0]) == (5, 30) and len(high) <= MISSES and len(low) <= MISSES
    flat = [RatedScore("a", tmp_path, 3.0, 3.0)] * 4  # no fit, no error
    assert worst_misses(flat) == ([], [])


def test_only_errors_of_at_least_the_median_size_are_misses(tmp_path):
    few = [RatedScore("a", tmp_path, 3.0 + miss, 3.0) for miss in (0.01, 0.6, -0.02, -0.5)]
    assert worst_misses(few) == ([1], [3])
    assert worst_misses(few[:1]) == ([0], [])


def test_the_page_has_its_images_and_loads_nothing_from_outside(tmp_path):
    page = write_gallery(tmp_path / "out", scored(tmp_path), REPORT)
    text = page.read_text()
    images = re.findall(r'src="(images/[^"]+)"', text)
    assert 2 <= len(images) == len(set(images)) <= 24
    assert max(max(open_image(page.parent / name).size) for name in images) == 320
    assert (page.parent / "plotly.min.js").stat().st_size > 1e6
    outside = re.findall(r'(?:src|href)="(https?:[^"]+)"', text)
    assert outside == []
    assert (
        text.index("a &lt;b&gt; &amp; c.png") < text.index("Rated too low") and "<b> &" not in text.split("plotly")[-1]
    )
    high, low = worst_misses(scored(tmp_path))
    assert len(images) == len(high) + len(low) == text.count("<strong>too ")
    assert "<p>Against" not in text and "background: #fff" not in text
    assert "KRCC 0.700, RMSE 0.550; after" in text and "KRCC 0.710, RMSE 0.400." in text
    assert (
        "RMSE not defined; after"
        in write_gallery(tmp_path / "out", scored(tmp_path), REPORT | {"rmse_raw": None}).read_text()
    )
    assert "Note: the fit is so &lt;steep&gt;." in text
    assert "SRCC 0.900" in text and "PLCC not defined" in text and "raters' std 0.50" in text.replace("&#x27;", "'")


def test_the_plot_has_all_images_and_the_curve_if_the_fit_succeeds(tmp_path):
    images = scored(tmp_path)
    figure = scatter(images, REPORT | {"label_scale": [1, 5]})
    titles = figure.layout.xaxis.title.text, figure.layout.yaxis.title.text
    assert titles == ("Score by nano&lt;b&gt; (0 to 100)", "Mean opinion score (1 to 5)")
    dots, curve = figure.data
    assert len(dots.x) == 40 and np.all(np.diff(curve.y) >= -1e-9)
    assert len(scatter(images[:4], REPORT).data) == 1


def test_a_comparison_is_on_the_page(tmp_path):
    text = write_gallery(tmp_path / "out", scored(tmp_path)[:4], REPORT | {"against": AGAINST}).read_text()
    assert "Against &lt;other&gt;, on the 39 images" in text
    assert "SRCC 0.900 against 0.800, a difference of +0.100 (95 % interval +0.050 to +0.150).</p>" in text
    assert "The fit failed" in text and ", fitted" not in text


def test_a_gallery_replaces_a_gallery_but_no_other_folder(tmp_path):
    images = scored(tmp_path)
    for _ in range(2):
        write_gallery(tmp_path / "out", images, REPORT)
    with pytest.raises(DataError, match="is not empty and not a gallery"):
        write_gallery(tmp_path, images, REPORT)
    with pytest.raises(DataError, match="nothing to show"):
        write_gallery(tmp_path / "new", [], REPORT)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be written"):
        write_gallery(tmp_path / "file" / "below", images, REPORT)
    assert not (tmp_path / "new").exists()
