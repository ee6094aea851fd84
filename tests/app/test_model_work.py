"""Scorers that share a processor: a turn for each batch, and a sentence where a model fails."""

import threading
from pathlib import Path

import pytest
import torch

from app.compare_tab import compare_images
from app.errors import Refused
from app.known_scores import KnownScores
from app.loaded_scorers import Scorers
from app.model_work import ModelWork
from app.score_files import MOST_FILES, each_once, score_files
from app.session import Session
from app.settings import EXAMPLES
from model.common.errors import ScoringFailed
from model.images.decoding import open_image
from model.scoring.assessment import Failure

IMAGES = sorted(map(str, EXAMPLES.glob("*.jpg")))[:4]
PATIENCE = 60


@pytest.fixture
def scorers(tmp_path):
    return Scorers(tmp_path / "adapters", "cpu")


def test_work_is_done_in_order_of_arrival_one_piece_at_a_time():
    work, done, gate = ModelWork(), [], threading.Event()

    def piece(name: str) -> None:
        assert gate.wait(PATIENCE)
        done.append(name)
        work.run(done.append, f"{name}, within its turn")

    threads = []
    for n, name in enumerate("abc"):
        threads.append(threading.Thread(target=work.run, args=(piece, name)))
        threads[-1].start()
        while work._turns._work_queue.qsize() < n:  # the first is out of the queue already
            pass
    gate.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert done == [part for name in "abc" for part in (name, f"{name}, within its turn")]


def test_whatever_scores_on_the_page_takes_turns(scorers):
    scorer, seen = scorers.get("nano"), set()
    scorer.backbone.model.connector.register_forward_hook(lambda *_: seen.add(threading.current_thread().name))
    list(scorer.assess_files(IMAGES[:1]))
    list(score_files(scorer, IMAGES[:2], "quality", KnownScores()))
    compare_images(Path(IMAGES[0]), Path(IMAGES[1]), Session("nano"), scorers, note=print)
    assert seen == {"model-work_0"}


def out_of_memory() -> RuntimeError:
    """What torch raises on a CPU, of its own making."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60)
    return raised.value


def test_a_batch_that_takes_too_much_memory_is_scored_image_by_image(scorers):
    scorer = scorers.get("nano")
    expected = [a.score for a in scorer.assess_files([IMAGES[0]] * 3)]

    def refuse(_, arguments) -> None:
        if len(arguments[0]) > 1:
            raise out_of_memory()

    scorer.backbone.model.connector.register_forward_pre_hook(refuse)
    assert [a.score for a in scorer.assess_files([IMAGES[0]] * 3)] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (out_of_memory(), "nano ran out of memory"),
        (RuntimeError("no kernel\nat all"), "nano could not score it: no kernel."),
    ],
)
def test_an_image_on_which_the_model_fails_gets_its_sentence_and_the_rest_is_scored(scorers, error, sentence):
    scorer = scorers.get("nano")
    bad = scorer.backbone.prepare(open_image(IMAGES[1])).pixels

    def refuse(_, arguments) -> None:
        if any(torch.equal(pixels, bad) for pixels in arguments[0]):
            raise error

    scorer.backbone.model.encoder.register_forward_pre_hook(refuse)
    with scorer.backbone.on_torch():  # another engine has no hooks
        outcomes = list(score_files(scorer, IMAGES, "quality", KnownScores()))
        with pytest.raises(ScoringFailed, match=sentence):
            compare_images(Path(IMAGES[0]), Path(IMAGES[1]), Session("nano"), scorers, note=print)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [failure.image for failure in failed] == [IMAGES[1]] and sentence in failed[0].error


def test_other_faults_are_not_taken_for_the_models(scorers):
    scorer = scorers.get("nano")
    scorer.backbone.model.connector.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(scorer.assess_files(IMAGES[:1]))


def test_a_file_is_scored_once_however_often_it_is_named():
    assert each_once([IMAGES[0], IMAGES[1], *IMAGES[:1] * 400]) == IMAGES[:2]
    with pytest.raises(Refused, match=f"at most {MOST_FILES}"):
        each_once([f"{n}.jpg" for n in range(MOST_FILES + 1)])
