"""Training on a small folder laid out like BIQ2021: it learns, resumes to the same weights, and keeps the test part out."""

import csv
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from tqdm import tqdm

from model import compare, soup
from model.backbones.nano.loading import load_nano
from model.backbones.nano.network import NanoProcessor, build_tokenizer
from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets import biq2021
from model.datasets.reading import read_dataset
from model.scoring.scorer import load_scorer
from model.training import run as train
from model.training import trio
from model.training.data import check_shares, read_training
from model.training.images import BATCH_SIZE, DAMAGED, epoch_steps, make_step, shown_in_epoch
from tests.model.published_sets import agiqa

WEIGHTS = Path(__file__).parents[3] / "model" / "weights"  # what ships


@pytest.fixture(scope="module", autouse=True)
def small():
    """Images are looked at in a tenth of the area that nano is trained on: each step takes a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio, "SIDE", 96)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Forty training images and nine test images, one of them a known near-duplicate; the more blurred, the lower the MOS."""
    twin = biq2021.read_column("biq2021_near_duplicates.csv", "image")[0]
    folder = tmp_path_factory.mktemp("biq2021")
    (folder / "Images").mkdir()
    for part, count in (("Train", 40), ("Test", 9)):
        with (folder / f"{part} (Images and MOS).csv").open("w", newline="") as lines:
            table = csv.writer(lines)
            table.writerow(["Image Name", "MOS", "", ""])
            for n in range(count):
                name = twin if part == "Test" and n == 4 else f"ss0{1 + n % 2} {part.lower()} ({n}).jpg"
                noise = np.random.default_rng(n).integers(0, 256, (64, 64, 3), dtype=np.uint8)
                blur = 4 * n / count
                Image.fromarray(noise).resize((128, 128)).filter(ImageFilter.GaussianBlur(blur)).save(
                    folder / "Images" / name
                )
                table.writerow([name, 1 - n / count, "", ""])
    return folder


def test_validation_and_training_share_no_image_and_no_group(data):
    training, validation = biq2021.train_and_validation(data)
    assert len(validation) == 4 and len(training) == 36
    assert not {item.image for item in training} & {item.image for item in validation}


def test_mos_are_put_on_one_to_five(data):
    assert biq2021.read_part(data, "Train")[0].mos == 5
    assert min(item.mos for item in biq2021.read_part(data, "Test")) > 1


def test_a_folder_that_is_not_biq2021_is_named(tmp_path):
    with pytest.raises(DataError, match="not a copy of BIQ2021"):
        biq2021.read_part(tmp_path, "Train")


@pytest.fixture(scope="module")
def processor():
    return NanoProcessor(build_tokenizer(), side=128)


def drawn(items, processor, epoch, skip=0, shares=None):
    return list(epoch_steps(items, processor, 3, epoch, skip, shares or {}))


def test_a_step_is_drawn_from_seed_epoch_and_number_alone(data, processor):
    items, _ = biq2021.train_and_validation(data)
    whole, resumed = drawn(items, processor, 1), drawn(items, processor, 1, skip=1)
    assert len(whole) == 2 and len(resumed) == 1
    assert torch.equal(whole[1].pixels, resumed[0].pixels) and torch.equal(whole[1].mos, resumed[0].mos)
    assert not torch.equal(whole[1].mos, drawn(items, processor, 2)[1].mos)


def test_a_step_shows_images_and_some_of_them_damaged_twice(data, processor):
    items, _ = biq2021.train_and_validation(data)
    step = drawn(items, processor, 0)[0]
    assert len(step.pixels) == BATCH_SIZE + 2 * DAMAGED and len(step.mos) == BATCH_SIZE
    first, mild, severe = step.pixels[:DAMAGED], step.pixels[BATCH_SIZE:-DAMAGED], step.pixels[-DAMAGED:]
    differs = [(a - b).square().mean((1, 2, 3)) for a, b in ((first, mild), (first, severe))]
    assert (differs[0] > 0).all() and (differs[1] > differs[0]).sum() >= DAMAGED - 1
    assert (step.severities[0] < step.severities[1]).all()


def test_damage_should_cost_a_score_in_proportion(data, processor):
    step = drawn(biq2021.train_and_validation(data)[0], processor, 0)[0]
    lost = trio.DROP * (step.mos[:DAMAGED] - 1)
    falling = torch.cat([step.mos, *(step.mos[:DAMAGED] - lost * severity for severity in step.severities)])
    assert trio.damage_loss(falling, step) < 1e-6
    alike = torch.cat([step.mos, step.mos[:DAMAGED], step.mos[:DAMAGED]])
    assert trio.damage_loss(alike, step) == pytest.approx((lost * step.severities[1]).mean().item(), rel=1e-5)


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A data set of another scale and of other shapes, as a CSV file."""
    folder = tmp_path_factory.mktemp("mine")
    rows = ["image,mos"]
    for n in range(20):
        noise = np.random.default_rng(n).integers(0, 256, (48 + 8 * (n % 3), 64, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((1600 if n == 0 else 200, 150)).save(folder / f"{n}.jpg")
        rows.append(f"{n}.jpg,{5 * n}")
    (folder / "mine.csv").write_text("\n".join(rows))
    return folder / "mine.csv"


def test_several_data_sets_come_onto_one_scale_each_with_a_part_kept_apart(data, mine):
    training, validation = read_training([data, mine], Scale(0, 100))
    assert {item.scale for item in (*training, *validation)} == {Scale(1, 5)}
    of_mine = sorted(item.mos for item in (*training, *validation) if item.dataset == "mine")
    assert of_mine == pytest.approx([1 + n / 5 for n in range(20)])
    assert sum(item.dataset == "mine" for item in validation) == 2
    (mine.parent / "labels.csv").write_text(mine.read_text())
    assert len(read_training([mine.parent], Scale(0, 100))[0]) == 18
    alone, _ = read_training([data])
    assert alone == biq2021.train_and_validation(data)[0]
    with pytest.raises(DataError, match="came without a scale"):
        read_training([mine])
    with pytest.raises(DataError, match="is given twice"):
        read_training([data, mine, mine], Scale(0, 100))


def test_data_sets_of_one_name_are_told_apart(mine, tmp_path):
    shutil.copytree(mine.parent, tmp_path / "other")
    folders = [mine, tmp_path / "other" / "mine.csv"]
    assert {item.dataset for item in read_training(folders, Scale(0, 100))[0]} == {str(folder) for folder in folders}


def test_images_that_are_missing_or_broken_are_named(mine, tmp_path):
    folder = shutil.copytree(mine.parent, tmp_path / "mine")
    (folder / "7.jpg").write_text("no image")
    training, _ = read_training([folder / "mine.csv"], Scale(0, 100))
    (broken,) = [item for item in training if item.image.name == "7.jpg"]
    with pytest.raises(DataError, match=r"7.jpg: not an image"):
        make_step([broken] * BATCH_SIZE, NanoProcessor(build_tokenizer()), np.random.default_rng(0))
    (folder / "7.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 20 images are not there, .*7.jpg for one"):
        read_training([folder / "mine.csv"], Scale(0, 100))


def test_parts_of_the_data_are_left_out_with_what_shares_their_content(data, mine, monkeypatch):
    names = sorted(item.image.name for item in biq2021.read_part(data, "Train"))
    first, second = (next(name for name in names if name.startswith(part)) for part in ("ss01", "ss02"))
    monkeypatch.setattr(biq2021, "duplicate_groups", lambda: {first: "a twin", second: "a twin"})
    training, validation = read_training([data, mine], Scale(0, 100), ["ss01"])
    assert {item.part for item in (*training, *validation) if item.dataset == biq2021.NAME} == {"ss02"}
    seen = {item.image.name for item in (*training, *validation)}
    assert len(seen) == 20 - 1 + 20 and second not in seen
    with pytest.raises(DataError, match="no part 'ss03' to leave out: the data have ss01, ss02"):
        read_training([data], without=["ss03"])
    with pytest.raises(DataError, match="no training images"):
        read_training([data], without=["ss01", "ss02"])


def test_an_epoch_shows_a_share_of_a_part_and_all_of_the_others(data, processor):
    items, _ = biq2021.train_and_validation(data)
    of_part = Counter(item.part for item in items)
    epochs = [shown_in_epoch(items, {"ss02": 0.5}, np.random.default_rng(n)) for n in range(8)]
    for shown in epochs:
        assert len({item.image for item in shown}) == len(shown)
        assert Counter(item.part for item in shown) == {"ss01": of_part["ss01"], "ss02": round(of_part["ss02"] / 2)}
    assert {item.image for shown in epochs for item in shown} == {item.image for item in items}
    assert len(drawn(items, processor, 0, shares={"ss02": 0.1})) == 1
    with pytest.raises(DataError, match="no part 'ss09' to show a share of: the data have ss01, ss02"):
        check_shares(items, {"ss09": 0.5})
    with pytest.raises(DataError, match="give one above 0 and at most 1"):
        check_shares(items, {"ss01": 1.5})


def test_published_sets_are_trained_on_and_their_test_parts_are_not(data, tmp_path):
    generated = agiqa(tmp_path)
    training, validation = read_training([data, generated])
    of_generated = [item for item in (*training, *validation) if item.dataset == "AGIQA-3K"]
    whole = read_dataset(generated)
    assert {item.image for item in of_generated} == {item.image for item in whole if item.split == "training"}
    assert all(item.scale == Scale(1, 5) and 1 <= item.mos <= 5 for item in of_generated)


def test_a_training_goes_on_from_an_earlier_one_and_shifts_the_other_sets_mos(data, mine, tmp_path):
    items = read_training([data, mine], Scale(0, 100))[0]
    start = WEIGHTS
    training = train.TrainingRun(tmp_path, items, train.Recipe(1, start=start), seed=0)
    training.resume()
    shipped = load_nano(start / "nano-qalign")[0].state_dict()
    for name, weight in training.trio.nanos["nano-qalign"].state_dict().items():
        torch.testing.assert_close(weight, shipped[name], atol=0, rtol=0)
    before = {item.image: item.mos for item in items}
    shifts = {item.dataset: item.mos - before[item.image] for item in training.items}
    assert shifts[biq2021.NAME] == 0 and shifts["mine"] == pytest.approx(training.shifts["mine"])
    of_mine = [item for item in training.items if item.dataset == "mine"]
    found = train.predict(training.trio, of_mine)["nano"].mean().item()
    assert found == pytest.approx(np.mean([item.mos for item in of_mine]), abs=1e-3)
    frozen = {name: weight.clone() for name, weight in training.trio.encoder.state_dict().items()}
    training.train_epoch(tqdm(disable=True))
    changed = {
        name for name, weight in training.trio.encoder.state_dict().items() if not torch.equal(weight, frozen[name])
    }
    assert changed and {name.split(".")[1] for name in changed} <= {str(n) for n in range(trio.FROZEN_OF_TRAINED, 16)}
    training.save()
    resumed = train.TrainingRun(tmp_path, items, train.Recipe(1, start=start), seed=0)
    resumed.resume()
    assert resumed.items == training.items and resumed.step == training.step


def test_a_start_of_two_trainings_is_refused(tmp_path):
    shutil.copytree(WEIGHTS, tmp_path / "mixed")
    model, _ = load_nano(tmp_path / "mixed" / "nano")
    with torch.no_grad():
        model.encoder.stem.bias += 1
    model.save_pretrained(tmp_path / "mixed" / "nano")
    with pytest.raises(DataError, match="have unequal encoders: give two that were trained together"):
        trio.Trio(tmp_path / "mixed")


@pytest.mark.slow
def test_a_step_of_several_data_sets_is_learnt_from_and_pairs_stay_within_one(data, mine, tmp_path):
    items = read_training([data, mine], Scale(0, 100))[0]
    mixed = [*items[: BATCH_SIZE // 2], *items[-BATCH_SIZE // 2 :]]
    training = train.TrainingRun(tmp_path, mixed, train.Recipe(1), seed=0)
    step = next(epoch_steps(mixed, training.trio.processor, 0, 0, 0, {}))
    assert len(step.pixels) == BATCH_SIZE + 2 * DAMAGED and sorted(step.groups.tolist()) == [0] * 8 + [1] * 8
    training.trio.loss(step).backward()
    assert training.trio.plain.output.weight.grad.abs().sum() > 0
    scores = train.predict(training.trio, mixed)["nano"]
    (alone,) = train.predict(training.trio, mixed[-1:])["nano"]
    assert len({item.image for item in mixed}) == len(scores) and scores[-1].item() == pytest.approx(
        alone.item(), abs=1e-4
    )


class CtrlC(tqdm):
    """A progress bar whose user loses patience after the third step."""

    def update(self, n: float = 1):
        if self.n == 2:
            raise KeyboardInterrupt
        return super().update(n)


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights(data, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)
    straight = train.train([data], tmp_path / "straight", train.Recipe(2))
    with monkeypatch.context() as impatient:
        impatient.setattr(train, "tqdm", CtrlC)
        with pytest.raises(KeyboardInterrupt):
            train.train([data], tmp_path / "resumed", train.Recipe(2))
    resumed = train.train([data], tmp_path / "resumed", train.Recipe(2))
    for one, other in zip(straight, resumed, strict=True):
        assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    scorers = [load_scorer(str(folder)) for folder in resumed]
    assert [scorer.readout for scorer in scorers] == ["score_token", "level"]
    items, _ = biq2021.train_and_validation(data)
    expected = train.predict(train.best_of(tmp_path / "resumed"), items)
    for scorer, name in zip(scorers, ("nano", "nano-qalign"), strict=True):  # float16 was enough
        found = [assessed.score for assessed in scorer.assess_files([item.image for item in items])]
        assert found == pytest.approx(expected[name].tolist(), abs=0.02)


@pytest.mark.slow
def test_a_few_steps_lower_the_loss_and_leave_the_stem_alone(data, tmp_path):
    items, _ = biq2021.train_and_validation(data)
    training = train.TrainingRun(tmp_path, items, train.Recipe(3), seed=0)
    training.begin()
    training.trio.adaptable.requires_grad_(True)
    encoder = training.trio.encoder
    stem_before, last_before = encoder.stem.weight.clone(), encoder.blocks[-1].project.weight.clone()
    for group in training.optimizer.param_groups:
        group["lr"] = 3e-4
    step = next(epoch_steps(items, training.trio.processor, 0, 0, 0, {}))
    losses = []
    for _ in range(6):
        loss = training.trio.loss(step)
        training.optimizer.zero_grad()
        loss.backward()
        training.optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert torch.equal(stem_before, encoder.stem.weight)
    assert not torch.equal(last_before, encoder.blocks[-1].project.weight)


@pytest.mark.slow
def test_in_the_first_epoch_the_encoder_is_only_read(data, tmp_path):
    items, validation = biq2021.train_and_validation(data)
    training = train.TrainingRun(tmp_path, items, train.Recipe(2), seed=0)
    training.resume()
    before = {name: weight.clone() for name, weight in training.trio.encoder.state_dict().items()}
    changed = []
    for _ in range(2):
        training.train_epoch(tqdm(disable=True))
        training.validate(validation)
        after = training.trio.encoder.state_dict()
        changed.append({name for name in before if not torch.equal(before[name], after[name])})
    assert not changed[0]
    assert changed[1] and {name.split(".")[1] for name in changed[1]} <= {str(n) for n in range(trio.FROZEN_BLOCKS, 16)}


def test_features_are_taken_by_their_mean_and_std_over_the_first_images(data, tmp_path):
    items, _ = biq2021.train_and_validation(data)
    training = train.TrainingRun(tmp_path, items, train.Recipe(1), seed=0)
    training.begin()
    steps = epoch_steps(items, training.trio.processor, 0, 0, 0, {})
    features = torch.cat([training.trio.features(step.pixels[:BATCH_SIZE]) for step in steps])
    taken = training.trio.backbones["nano"].model.connector.standardised(features)
    varies = features.std(0) > 0.05
    assert taken.mean(0).abs().max() < 1e-3
    torch.testing.assert_close(taken.std(0, correction=0)[varies], torch.ones(varies.sum()), rtol=0.03, atol=0)


def test_a_learning_rate_waits_rises_and_falls():
    rate = [train.rise_and_fall(step, first=100, last=200) for step in range(201)]
    assert rate[:101] == [0.0] * 101 and rate[105] == pytest.approx(0.5) and rate[110] == 1.0
    assert rate[110:] == sorted(rate[110:], reverse=True) and rate[200] == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_all_systems_are_compared_on_the_same_images_and_on_what_was_left_out(data, tmp_path, capsys):
    train.train([data], tmp_path, train.Recipe(1), without=["ss01"])
    capsys.readouterr()
    assert compare.compare(data, tmp_path) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["system"] for row in rows[::3]] == ["nano", "nano-qalign", "plain"]
    parts = {("without near-duplicates", 8), ("official", 9), ("ss01", 20)}
    assert {(row["part"], row["n"]) for row in rows} == parts
    assert rows[-1]["against_nano"]["srcc"]["second"] == pytest.approx(rows[2]["srcc"])


def test_a_folder_holds_one_training(data, tmp_path):
    items, _ = biq2021.train_and_validation(data)
    train.claim(tmp_path, items, train.Recipe(2), [], 0)
    train.claim(tmp_path, items, train.Recipe(2), [], 0)
    two, three, rare = train.Recipe(2), train.Recipe(3), train.Recipe(2, {"ss02": 0.5})
    for other in ((items[1:], two, [], 0), (items, three, [], 0), (items, two, ["ss01"], 0), (items, rare, [], 0)):
        with pytest.raises(DataError, match="holds a training with other images or settings: give another --out"):
            train.claim(tmp_path, *other)


def test_an_epoch_without_srcc_does_not_keep_better_ones_out(data, tmp_path):
    _, validation = biq2021.train_and_validation(data)
    training = train.TrainingRun(tmp_path, validation, train.Recipe(3), seed=0)
    training.validate([replace(item, mos=3.0) for item in validation])
    assert json.loads((tmp_path / "log.json").read_text())[0]["nano"] == {"srcc": None, "plcc": None}
    kept = (tmp_path / "best.pt").stat().st_mtime_ns
    training.validate(validation)
    assert (tmp_path / "best.pt").stat().st_mtime_ns > kept
    one_of_another = replace(validation[0], dataset="another")
    training.validate([*validation, one_of_another])  # a set of one image has no SRCC, and takes nobody else's
    assert training.log[2] == training.log[1]


def trained(folder, items, without, seed):
    """A training that was never given a step: its weights are those drawn from `seed`."""
    train.claim(folder, items, train.Recipe(1), without, seed)
    torch.save(train.TrainingRun(folder, items, train.Recipe(1), seed=seed).trio.state_dict(), folder / "best.pt")
    return folder


@pytest.mark.slow
def test_a_soup_is_the_mean_of_trainings_and_leaves_out_what_all_did(data, tmp_path):
    items = biq2021.train_and_validation(data)[0]
    one = trained(tmp_path / "one", items, ["ss01"], seed=0)
    two = trained(tmp_path / "two", items, ["ss01", "ss02"], seed=1)
    folders = soup.make_soup([one, two], tmp_path / "mean")
    weights = [train.best_of(folder).state_dict() for folder in (one, two, tmp_path / "mean")]
    first, second, mean = (state["plain.output.weight"] for state in weights)
    assert not torch.equal(first, second) and torch.allclose(mean, (first + second) / 2)
    assert json.loads((tmp_path / "mean" / train.TRAINING).read_text())["without"] == ["ss01"]
    assert {load_scorer(str(folder)).readout for folder in folders} == {"score_token", "level"}
    for wrong in ([one], [one, one]):
        with pytest.raises(DataError, match="at least two trainings: give their folders, each once"):
            soup.make_soup(wrong, tmp_path / "more")
    with pytest.raises(DataError, match="mean exists already"):
        soup.make_soup([one, two], tmp_path / "mean")
    with pytest.raises(DataError, match="run python -m model.train"):
        soup.make_soup([one, tmp_path / "absent"], tmp_path / "more")
    # Two nanos without a plain regressor, such as those that ship:
    nanos = tmp_path / "nanos"
    for name in ("nano", "nano-qalign"):
        shutil.copytree(tmp_path / "mean" / name, nanos / name)
    (folder, _) = soup.make_soup([nanos, one], tmp_path / "with-weights")
    assert not (tmp_path / "with-weights" / "best.pt").exists()
    name = "regressor.output.weight"
    theirs, mean = (load_nano(nano)[0].state_dict()[name].float() for nano in (nanos / "nano", folder))
    ours = train.best_of(one).nanos["nano"].state_dict()[name]
    assert torch.allclose(mean, (ours + theirs) / 2, atol=1e-3)


def test_untrained_systems_are_named(data, tmp_path):
    with pytest.raises(DataError, match="run python -m model.train"):
        compare.compare(data, tmp_path)
