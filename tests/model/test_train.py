"""Training on a small folder laid out like BIQ2021: it learns, resumes to the same weights, and keeps the test part out."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from tqdm import tqdm

from model import biq2021, compare, train
from model.errors import DataError
from model.scorer import load_scorer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Forty training pictures and nine test pictures, one of them a known near-duplicate; the more blurred, the lower the MOS."""
    twin = biq2021.read_column("biq2021_near_duplicates.csv", "image")[0]
    folder = tmp_path_factory.mktemp("biq2021")
    (folder / "Images").mkdir()
    for part, count in (("Train", 40), ("Test", 9)):
        with (folder / f"{part} (Images and MOS).csv").open("w", newline="") as lines:
            table = csv.writer(lines)
            table.writerow(["Image Name", "MOS", "", ""])
            for n in range(count):
                name = twin if part == "Test" and n == 4 else f"{part.lower()} ({n}).jpg"
                noise = np.random.default_rng(n).integers(0, 256, (64, 64, 3), dtype=np.uint8)
                blur = 4 * n / count
                Image.fromarray(noise).resize((128, 128)).filter(ImageFilter.GaussianBlur(blur)).save(
                    folder / "Images" / name
                )
                table.writerow([name, 1 - n / count, "", ""])
    return folder


def test_validation_and_training_share_no_picture_and_no_group(data):
    training, validation = biq2021.train_and_validation(data)
    assert len(validation) == 4 and len(training) == 36
    assert not {item.image for item in training} & {item.image for item in validation}


def test_mos_are_put_on_one_to_five(data):
    assert biq2021.read_part(data, "Train")[0].mos == 5
    assert min(item.mos for item in biq2021.read_part(data, "Test")) > 1


def test_a_folder_that_is_not_biq2021_is_named(tmp_path):
    with pytest.raises(DataError, match="not a copy of BIQ2021"):
        biq2021.read_part(tmp_path, "Train")


def test_a_batch_is_drawn_from_seed_epoch_and_step_alone(data):
    items, _ = biq2021.train_and_validation(data)
    whole = list(train.epoch_batches(items, seed=3, epoch=1, skip=0))
    resumed = list(train.epoch_batches(items, seed=3, epoch=1, skip=1))
    assert whole[1:] == resumed
    assert whole != list(train.epoch_batches(items, seed=3, epoch=2, skip=0))


class CtrlC(tqdm):
    """A progress bar whose user loses patience after the third step."""

    def update(self, n: float = 1):
        if self.n == 2:
            raise KeyboardInterrupt
        return super().update(n)


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights(data, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)
    straight = train.train("nano", data, tmp_path / "straight", epochs=2)
    with monkeypatch.context() as impatient:
        impatient.setattr(train, "tqdm", CtrlC)
        with pytest.raises(KeyboardInterrupt):
            train.train("nano", data, tmp_path / "resumed", epochs=2)
    resumed = train.train("nano", data, tmp_path / "resumed", epochs=2)
    a, b = ((folder / "model.safetensors").read_bytes() for folder in (straight, resumed))
    assert a == b
    assert load_scorer(str(resumed)).readout == "score_token"


@pytest.mark.slow
@pytest.mark.parametrize("name", train.SYSTEMS)
def test_a_few_steps_lower_the_loss_and_leave_the_stem_alone(name, data, tmp_path):
    torch.manual_seed(0)
    items, _ = biq2021.train_and_validation(data)
    cache = train.StemCache(tmp_path / "stem.npy", biq2021.all_images(data))
    training = train.TrainingRun(name, tmp_path, steps_per_epoch=6, epochs=1, seed=0)
    stem_before = training.system.encoder.stem.weight.clone()
    crop = slice(0, 32), slice(0, 32)
    mos = torch.tensor([item.mos for item in items[:16]])
    losses = []
    for _ in range(6):
        loss = training.system.loss(cache.batch(items[:16], crop, False), mos)
        training.optimizer.zero_grad()
        loss.backward()
        training.optimizer.step()
        training.schedule.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert torch.equal(stem_before, training.system.encoder.stem.weight)


@pytest.mark.slow
def test_all_systems_are_compared_on_the_same_test_pictures(data, tmp_path, capsys):
    for name in train.SYSTEMS:
        train.train(name, data, tmp_path, epochs=1)
    capsys.readouterr()
    assert compare.compare(data, tmp_path) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["system"] for row in rows[::2]] == [*train.SYSTEMS, "ridge", "ridge-on-nano"]
    assert {(row["part"], row["n"]) for row in rows} == {("without near-duplicates", 8), ("official", 9)}
    # Blur is easy to see in ImageNet's features, whatever two steps of training do to the others.
    assert rows[-4]["srcc"] > 0.8


def test_an_untrained_system_is_named(data, tmp_path):
    with pytest.raises(DataError, match="run python -m model.train"):
        compare.compare(data, tmp_path)
