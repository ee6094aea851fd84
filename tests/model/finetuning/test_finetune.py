"""The fine-tune command, from a real database of ratings to an adapter in use."""

import subprocess
import sys
from pathlib import Path

import pytest

from annotations import ShownScore, open_annotations
from model import finetune as module
from model.backbones.adapter_card import read_card
from model.scoring.scorer import load_scorer
from tests.bad_images import sample_image
from tests.model.tiny import gallery, rate, tiny_base

SHOWN = ShownScore("nano", "1", 3.0, (1.0, 5.0))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def data(tmp_path):
    """An empty data folder."""
    return tmp_path / "data"


def rate_gallery(data, count, **how):
    """Keep ratings of `count` different images, their values rising from 1.5 to 4.5."""
    rate(data, gallery(data.parent / "images", max(count, 2))[:count], **how)


@pytest.fixture
def command(data, base, capsys):
    """Runs the command on the data folder; returns exit status, stdout and stderr."""

    def run(*more, model=None, out="taste"):
        which = ["--data-dir", str(data), "--model", str(model or base), "--out", out]
        status = module.main([*which, "--rung", "lora", *more])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def refused(ran, *words):
    """Whether the command ended in one sentence on stderr, after the plan if any, holding these words, and status 2."""
    status, out, err = ran
    said = [line for line in err.splitlines() if not line.startswith("plan: ")]
    return (
        (status, out, len(said)) == (2, "", 1)
        and said[0].startswith("error: ")
        and all(word in said[0] for word in words)
    )


@pytest.mark.slow
def test_ten_ratings_become_an_adapter_that_the_scorer_uses(command, data, base):
    rate_gallery(data, 10)
    status, out, err = command()
    assert status == 0 and "10 ratings" not in err
    assert out.startswith("10 ratings of 10 images: LoRA, 7 to train on, 3 held out\n")
    assert "RMSE on 1 to 5" in out and "Correlations of fewer than 10 images are mostly chance." in out
    adapter = data / "adapters" / "taste"
    assert (adapter / "adapter_model.safetensors").stat().st_mode == (adapter / "card.json").stat().st_mode
    for figure in ("PLCC", "SRCC", "RMSE"):
        assert figure in out
    card = read_card(data / "adapters" / "taste")
    assert (card.ratings, card.images, card.include_revealed, card.parent) == (10, 10, False, None)
    assert load_scorer(f"{base}+taste", adapters=data / "adapters").assess([sample_image()])[0].model == f"{base}+taste"


@pytest.mark.slow
def test_ten_strong_opinions_move_nano_toward_them(command, data):
    annotations = open_annotations(data)
    images = [sample_image(96, 64).point(lambda value, gain=0.4 + n / 20: round(value * gain)) for n in range(10)]
    before = load_scorer("nano").assess(images)
    for n, (image, assessed) in enumerate(zip(images, before, strict=True)):
        path = data.parent / f"{n}.png"
        image.save(path)
        annotations.record_rating("Ada", path.read_bytes(), 1.2 if assessed.score > 3 else 4.8, suffix="png")
    status, out, _ = command(model="nano", out="contrary")
    assert status == 0, out
    after = load_scorer("nano+contrary", adapters=data / "adapters").assess(images)
    for old, new in zip(before, after, strict=True):
        assert (new.score - old.score) * (-1 if old.score > 3 else 1) > 0.5


@pytest.mark.slow
def test_only_blind_ratings_count_unless_the_others_are_asked_for(command, data):
    rate_gallery(data, 10, shown=SHOWN)
    assert refused(command(), "0 images rated blind", "--include-revealed")
    status, out, _ = command("--include-revealed")
    assert status == 0 and read_card(data / "adapters" / "taste").include_revealed


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_ratings_are_one_sentence_with_the_number_needed(command, data, count):
    if count:
        rate_gallery(data, count)
    assert refused(command(), f"{count} rated images are too few", "at least 8")
    assert not (data / "adapters").exists()


@pytest.mark.slow
def test_an_adapter_is_continued_by_naming_it(command, data, base):
    rate_gallery(data, 12)
    assert command(out="first")[0] == 0
    status, out, _ = command(model=f"{base}+first", out="second")
    assert status == 0 and read_card(data / "adapters" / "second").parent["name"] == "first"


@pytest.mark.slow
def test_a_lost_image_is_named_and_the_rest_is_trained_on(command, data):
    rate_gallery(data, 11)
    lost = next(path for path in (data / "images").rglob("*.png"))
    lost.unlink()
    status, out, err = command()
    assert status == 1 and out.startswith("10 ratings of 10 images") and f"left out: {lost.name}: " in err


@pytest.mark.slow
def test_a_name_that_is_taken_or_no_name_is_refused_before_any_work(command, data):
    rate_gallery(data, 10)
    assert command()[0] == 0
    made = (data / "adapters" / "taste" / "card.json").read_bytes()
    assert refused(command(), "'taste' exists already", "choose another --out")
    assert (data / "adapters" / "taste" / "card.json").read_bytes() == made
    assert refused(command(out="../escape"), "is not a valid adapter name")


def test_an_unknown_model_or_adapter_is_refused(command, data, base):
    rate_gallery(data, 10)
    assert refused(command(model="nonesuch"), "there is no model 'nonesuch'")
    assert refused(command(model=f"{base}+nonesuch"), "there is no adapter 'nonesuch'")


def test_a_broken_database_is_one_sentence(command, data):
    data.mkdir()
    (data / "annotations.db").write_bytes(b"no database" * 100)
    assert refused(command(), "annotations.db")


def test_a_data_folder_that_cannot_be_written_is_one_sentence(command, data):
    rate_gallery(data, 10)
    (data / "adapters").touch()
    assert refused(command(), "could not be written")


def test_what_is_wrong_with_the_arguments_is_told_without_loading_torch():
    lines = (
        "import sys; from model.finetune import main; "
        "print(main(['--data-dir', 'absent', '--out', 'x'])); sys.exit('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert (ended.returncode, ended.stdout) == (0, "2\n") and "0 rated images are too few" in ended.stderr


def test_a_model_that_cannot_be_fine_tuned_is_one_sentence(command, data, tmp_path):
    rate_gallery(data, 10)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert refused(command(model=tmp_path), "a model of type 'bert', which cannot be fine-tuned: choose nano")
    assert refused(command("--dtype", "4bit"), "fine-tuning in 4bit is not supported")
