"""pyiqa is imported when it is asked for and at no other time, and its metrics are turned so that higher is better.

pyiqa is not installed where the tests run. The module named pyiqa below is ours: it has the three names of release 0.1.16 that we call
(list_models, create_metric, __version__) and measures brightness. It shows what the adapter does, not that pyiqa works.
"""

import sys

import pytest
import torch

from model import evaluate
from model.common.errors import ModelLoadError
from model.evaluation.pyiqa import LOWER_IS_BETTER, load_pyiqa
from model.scoring.assessment import Failure
from tests.bad_images import sample_image

STAND_IN = """
import torch

__version__ = "0.0.stand-in"
DIRECTIONS = {"niqe": True, "clipiqa+": False, "musiq": True, "lpips": True, "topiq_nr": False}

def list_models():
    return sorted(DIRECTIONS)

class Brightness:
    def __init__(self, name):
        self.lower_better = DIRECTIONS[name]
        self.metric_mode = "FR" if name == "lpips" else "NR"

    def __call__(self, target):
        if target.shape[-1] < 32:
            raise RuntimeError("Calculated padded input size is too small.\\nKernel size can't be greater than actual input size")
        if target.shape[-1] == 40:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 40.00 GiB.")
        if target.shape[-1] == 41:
            torch.empty(2**60)
        if target.shape[-1] == 44:
            raise ValueError
        assert target.dim() == 4 and target.shape[:2] == (1, 3) and 0 <= target.min() and target.max() <= 1
        return (target.mean() / (target.shape[-1] != 36)).reshape(1, 1)

def create_metric(name, device=None):
    if name == "topiq_nr":
        raise OSError("the weights could not be fetched\\nand more")
    return Brightness(name)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    (tmp_path / "pyiqa.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pyiqa", raising=False)
    yield
    sys.modules.pop("pyiqa", None)


def test_without_pyiqa_one_sentence_names_the_remedy_and_the_licence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ModelLoadError, match="pyiqa:niqe needs .* pip install pyiqa; .* forbids commercial use"):
        load_pyiqa("NIQE", torch.device("cpu"))


def test_the_command_says_it_too(tmp_path, monkeypatch, capsys):
    sample_image(48, 48).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("image,mos\na.png,3\n")
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    assert evaluate.main(["--model", "pyiqa:musiq", "--data", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("error: pyiqa:musiq needs the package pyiqa")


@pytest.mark.parametrize(
    ("installed", "name", "sentence"),
    [(False, "niqe", "pyiqa:niqe needs the package pyiqa"), (True, "nonesuch", "pyiqa has no metric 'nonesuch'")],
)
def test_a_second_scorer_that_is_not_there_is_told_before_the_first_one_scores(
    installed, name, sentence, stand_in, tmp_path, monkeypatch, capsys
):
    sample_image(48, 48).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("image,mos\na.png,3\n")
    if not installed:
        monkeypatch.setitem(sys.modules, "pyiqa", None)
    monkeypatch.setattr(evaluate, "load", lambda *_: pytest.fail("a model was loaded"))
    assert evaluate.main(["--model", "nano", "--against", f"pyiqa:{name}", "--data", str(tmp_path)]) == 2
    assert f"error: {sentence}" in capsys.readouterr().err


def test_a_metric_of_which_lower_is_better_is_turned_over(stand_in, tmp_path):
    for n, gain in enumerate((0.3, 0.9)):
        sample_image(48, 48).point(lambda value, gain=gain: round(value * gain)).save(tmp_path / f"{n}.png")
    (tmp_path / "2.png").write_bytes(b"no image at all")
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    niqe, clip = (load_pyiqa(name, torch.device("cpu")) for name in ("NIQE", "CLIP-IQA+"))
    down, up = list(niqe.assess_files(paths)), list(clip.assess_files(paths))
    assert down[0].score > down[1].score and up[0].score < up[1].score
    assert [one.score for one in down[:2]] == [-one.score for one in up[:2]]
    assert down[2] == Failure(str(paths[2]), "not an image: the file holds text")
    assert (niqe.name, clip.name, niqe.revision) == ("pyiqa:niqe", "pyiqa:clipiqa+", "0.0.stand-in")


def test_an_image_that_the_metric_rejects_is_a_failure_and_the_rest_goes_on(stand_in, tmp_path):
    paths = [tmp_path / f"{side}.png" for side in (16, 40, 41, 44, 36, 48)]
    for path in paths:
        sample_image(int(path.stem), int(path.stem)).save(path)
    *failures, measured = load_pyiqa("niqe", torch.device("cpu")).assess_files(paths)
    assert [failure.image for failure in failures] == [str(path) for path in paths[:5]]
    assert [failure.error for failure in failures] == [
        "pyiqa:niqe cannot measure it: Calculated padded input size is too small",
        "pyiqa:niqe has too little memory for an image of 40 x 40: make it smaller, or choose another --device",
        "pyiqa:niqe has too little memory for an image of 41 x 41: make it smaller, or choose another --device",
        "pyiqa:niqe cannot measure it: ValueError",
        "pyiqa:niqe returned inf",
    ]
    assert measured.score < 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nonesuch", "pyiqa has no metric 'nonesuch': try one of niqe, brisque"),
        ("lpips", "needs a reference image"),
        ("musiq", "says that lower is better for musiq, which is wrong"),
        ("topiq_nr", "could not load topiq_nr: the weights could not be fetched.$"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(name, sentence, stand_in):
    with pytest.raises(ModelLoadError, match=sentence):
        load_pyiqa(name, torch.device("cpu"))


def test_the_papers_traditional_metrics_are_the_ones_that_fall():
    assert {name for name, lower in LOWER_IS_BETTER.items() if lower} == {"niqe", "brisque"}
