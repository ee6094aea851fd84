"""The scorer and its command: one scoring function, batches, failures, and what a broken model folder is told."""

import csv
import json
import shutil
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from model.backbones.nano.backbone import NanoBackbone
from model.common.errors import ModelError, ModelLoadError
from model.loading.known import SHIPPED
from model.score import main
from model.scoring.assessment import Assessment, Failure
from model.scoring.scorer import Scorer, load_scorer
from tests.bad_images import write_zoo
from tests.model.owl_fixtures import QALIGN
from tests.programs import python_m

IMAGES = sorted(Path("tests/images").glob("*.jpg"))
KEYS = [
    "image",
    "score",
    "scale",
    "tokens",
    "probabilities",
    "token_mass",
    "expectation",
    "uncertainty",
    "interval",
    "model",
    "revision",
]


@pytest.fixture(scope="module")
def scorer():
    return load_scorer("nano")


@pytest.fixture
def command(capsys):
    """Runs the command in this process, where torch is loaded already; returns exit status, stdout and stderr."""

    def run_here(*arguments: str | Path) -> tuple[int, str, str]:
        status = main([*map(str, arguments)])
        return status, *capsys.readouterr()

    return run_here


def test_an_assessment_agrees_with_itself(scorer):
    for a in scorer.assess_files(IMAGES):
        assert isinstance(a, Assessment)
        assert a.scale[0] <= a.score <= a.scale[1]
        assert sum(a.probabilities) == pytest.approx(1, abs=1e-5)
        assert 0 < a.token_mass <= 1 + 1e-6
        likeliest = a.probabilities.index(max(a.probabilities))
        assert a.interval == a.intervals[likeliest]
        middles = [(low + high) / 2 for low, high in a.intervals]
        assert a.expectation == pytest.approx(
            sum(p * m for p, m in zip(a.probabilities, middles, strict=True)), abs=1e-4
        )
        assert a.model == "nano" and a.tokens == tuple(f"<score{n}>" for n in range(1, 6))


def test_a_batch_gives_each_image_the_score_it_gets_alone(scorer, tmp_path):
    square = tmp_path / "square.png"
    Image.effect_noise((700, 300), 50).convert("RGB").save(square)
    mixed = [*IMAGES[:5], square]  # of two shapes, so that the order has to be kept across batches
    together = [a.score for a in scorer.assess_files(mixed, batch_size=4)]
    alone = [next(scorer.assess_files([path], batch_size=1)).score for path in mixed]
    assert together == pytest.approx(alone, abs=1e-4)


def test_the_page_and_the_command_get_the_same_score(scorer):
    assert scorer.assess([Image.open(IMAGES[0]).convert("RGB")])[0].score == pytest.approx(
        next(scorer.assess_files(IMAGES[:1])).score, abs=1e-6
    )


def test_both_readouts_put_a_pristine_image_above_its_blurred_self():
    pristine = next(
        path
        for path in IMAGES
        if "pristine" in path.name and path.with_name(path.name.replace("pristine", "blurred")).exists()
    )
    blurred = pristine.with_name(pristine.name.replace("pristine", "blurred"))
    for name in SHIPPED:
        good, bad = load_scorer(name).assess_files([pristine, blurred])
        assert good.score > bad.score, name


def test_json_is_one_object_a_line_with_the_keys_of_the_contract():
    done = python_m("model.score", *IMAGES[:2], "--format", "json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(line) for line in lines] == [KEYS, KEYS]
    assert [line["image"] for line in lines] == [str(path) for path in IMAGES[:2]]


@pytest.mark.slow
def test_an_unreadable_image_gives_its_error_and_the_rest_are_scored(command, tmp_path):
    zoo = write_zoo(tmp_path)
    status, out, err = command(tmp_path, tmp_path / "absent.jpg", "--format", "json")
    assert status == 1
    lines = {Path(line["image"]).name: line for line in map(json.loads, out.splitlines())}
    for path, good in zoo.values():
        assert ("score" in lines[path.name]) == good, path.name
    assert lines["absent.jpg"] == {"image": str(tmp_path / "absent.jpg"), "error": "no such file or folder"}
    assert "Traceback" not in err


def test_csv_has_the_same_numbers_as_json(command):
    as_json = json.loads(command(IMAGES[0], "--format", "json")[1])
    row = next(csv.DictReader(command(IMAGES[0], "--format", "csv")[1].splitlines()))
    assert float(row["score"]) == pytest.approx(as_json["score"])
    assert [float(p) for p in row["probabilities"].split()] == pytest.approx(as_json["probabilities"])
    assert "task" not in row


def test_csv_of_another_task_says_which(command):
    asked = ("--model", str(QALIGN / "checkpoint_safetensors"), "--task", "aesthetics", "--format", "csv")
    row = next(csv.DictReader(command(IMAGES[0], *asked)[1].splitlines()))
    assert list(row)[-1] == "task" and row["task"] == "aesthetics"


def test_the_table_has_a_heading_over_its_columns(command, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    heading, bad, good = command(tmp_path / "text.jpg", IMAGES[0])[1].splitlines()
    assert heading.split() == ["score", "token", "prob.", "image"] and "of 1–5" in good
    assert good.index("<score") == heading.index("token") and good[heading.index("prob.") :].split("%")[0].isdigit()
    assert heading.index("image") == good.index(str(IMAGES[0])) == bad.index(str(tmp_path))


def test_a_folder_of_the_other_kind_says_which_task_scores_it(command, tmp_path):
    assert command(tmp_path, "--task", "video")[1].endswith("no videos in this folder\n")
    (tmp_path / "clip.mp4").touch()
    assert "no images in this folder, but videos: add --task video" in command(tmp_path)[1]
    (tmp_path / "clip.mp4").rename(tmp_path / "clip.png")
    assert "but images: omit --task video" in command(tmp_path, "--task", "video")[1]


def test_assess_files_goes_on_after_a_failure_and_keeps_the_order(scorer, tmp_path):
    (tmp_path / "empty.jpg").touch()
    results = list(scorer.assess_files([IMAGES[0], tmp_path / "empty.jpg", IMAGES[1]], batch_size=1))
    assert [type(r) for r in results] == [Assessment, Failure, Assessment]
    assert results[1].error == "empty file"


@pytest.mark.slow
def test_files_that_are_decoded_ahead_keep_their_order_their_errors_and_their_scores(scorer, tmp_path):
    (tmp_path / "empty.jpg").touch()
    wide = tmp_path / "wide.png"
    Image.effect_noise((700, 300), 50).convert("RGB").save(wide)
    paths = [*IMAGES[:4], tmp_path / "empty.jpg", wide, *IMAGES[4:8], wide]
    results = list(scorer.assess_files(iter(paths), batch_size=1))  # four files at a time
    assert [result.image for result in results] == [str(path) for path in paths]
    assert isinstance(results[4], Failure) and results[5].score == results[-1].score
    alone = [next(scorer.assess_files([path])) for path in paths]
    assert results == alone


def decoding_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_closing_early_leaves_no_thread_and_reads_no_further(scorer):
    asked = []
    results = scorer.assess_files((asked.append(n) or IMAGES[0] for n in range(1000)), batch_size=1)
    assert not decoding_threads()
    next(results)
    results.close()
    assert not decoding_threads() and len(asked) <= 8


def test_an_error_that_is_no_images_ends_the_batch_and_its_threads(scorer):
    def paths():
        yield from IMAGES[:2]
        raise OSError("the list of files broke off")

    with pytest.raises(OSError, match="broke off"):
        list(scorer.assess_files(paths(), batch_size=1))
    assert not decoding_threads()


class Greedy(NanoBackbone):
    """nano that asks torch for more memory than any machine has, for more than `fits` images at once."""

    fits, asked = 0, ()

    def ask(self, batch):
        self.asked = (*self.asked, len(batch))
        if len(batch) > self.fits:
            torch.empty(1 << 60)
        return super().ask(batch)


def test_where_memory_is_too_little_for_a_batch_a_smaller_one_is_taken(scorer):
    greedy = Greedy(scorer.backbone.model, scorer.backbone.processor)
    greedy.fits = 2
    results = list(Scorer("nano", "1", greedy).assess_files(IMAGES[:7], batch_size=7))
    expected = [a.score for a in scorer.assess_files(IMAGES[:7])]
    assert [a.score for a in results] == pytest.approx(expected, abs=1e-4)
    assert greedy.asked == (7, 3, 1, 1, 1, 1, 1, 1, 1)


def test_where_memory_is_too_little_for_one_image_a_sentence_says_what_to_do(scorer):
    greedy = Greedy(scorer.backbone.model, scorer.backbone.processor)
    results = list(Scorer("nano", "1", greedy).assess_files(IMAGES[:2]))
    assert [type(result) for result in results] == [Failure, Failure]
    assert all("nano ran out of memory while scoring: free some, or choose" in result.error for result in results)


def test_another_error_of_torch_is_not_taken_for_a_lack_of_memory(scorer):
    broken = Greedy(scorer.backbone.model, scorer.backbone.processor)
    broken.ask = lambda batch: torch.ones(2) @ torch.ones(3)
    results = list(Scorer("nano", "1", broken).assess_files(IMAGES[:2]))
    assert all("nano could not score it: inconsistent tensor size" in result.error for result in results)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nanoo", "there is no model 'nanoo'"),
        ("nano+absent", "there is no adapter 'absent'"),
        ("tests", "no config.json"),
    ],
)
def test_an_unknown_model_is_named_with_what_there_is(spec, words):
    with pytest.raises(ModelLoadError, match=words):
        load_scorer(spec)


def test_what_a_model_was_not_taught_is_refused():
    with pytest.raises(ModelError, match="aesthetics"):
        load_scorer("nano", task="aesthetics")


@pytest.fixture
def copy_of_nano(tmp_path) -> Path:
    return Path(shutil.copytree(SHIPPED["nano"], tmp_path / "copy"))


def test_what_a_folder_holds_is_told_by_its_files_not_its_name(copy_of_nano, scorer):
    again = load_scorer(str(copy_of_nano))
    assert again.revision == scorer.revision and again.readout == "score_token"


def test_a_missing_tensor_is_named(copy_of_nano):
    weights = load_file(copy_of_nano / "model.safetensors")
    del weights["regressor.output.bias"]
    save_file(weights, copy_of_nano / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelLoadError, match=r"lacks the tensor regressor\.output\.bias"):
        load_scorer(str(copy_of_nano))


def test_a_tensor_of_the_wrong_shape_is_named(copy_of_nano):
    weights = load_file(copy_of_nano / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"][:-1].clone()
    save_file(weights, copy_of_nano / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelLoadError, match=r"wrong shape: lm_head\.weight"):
        load_scorer(str(copy_of_nano))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", b"\x00" * 100, "cannot be read as a model"),
        ("model.safetensors", None, "lacks model.safetensors"),
        ("tokenizer.json", None, "lacks tokenizer.json"),
        ("config.json", b"{", "config.json is not readable JSON"),
        ("config.json", b'{"model_type": "llama"}', "type 'llama'"),
    ],
)
def test_a_broken_file_is_named(copy_of_nano, name, content, words):
    (copy_of_nano / name).unlink()
    if content is not None:
        (copy_of_nano / name).write_bytes(content)
    with pytest.raises(ModelLoadError, match=words):
        load_scorer(str(copy_of_nano))


@pytest.mark.slow
def test_code_in_a_model_folder_is_never_run(copy_of_nano):
    settings = json.loads((copy_of_nano / "config.json").read_text())
    settings["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoTokenizer": ["evil.T", None]}
    (copy_of_nano / "config.json").write_text(json.dumps(settings))
    trace = copy_of_nano / "it_ran"
    (copy_of_nano / "evil.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    done = python_m("model.score", "--model", copy_of_nano, IMAGES[0])
    assert not trace.exists()
    assert done.returncode == 0, done.stderr


def test_an_unknown_model_ends_the_command_with_one_sentence(command):
    status, out, err = command("--model", "nanoo", IMAGES[0])
    assert (status, out) == (2, "")
    assert err.startswith("error: there is no model 'nanoo'") and err.count("\n") == 1
