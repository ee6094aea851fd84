"""The systems of the paper's tables: their configuration, and that each can be taught and read on a tiny nano."""

from typing import get_args

import pytest
import torch

from model.backbones.nano.network import STEM
from model.common.scale import Scale
from model.paper.learner import Anchors, Batch, build_learner
from model.paper.systems import CLAIMS, SYSTEMS, TABLES
from model.readouts.levels import LEVEL_WORDS
from model.readouts.objective import LOSSES
from model.readouts.systems import PROPORTIONS, Label, Readout

TINY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
# One of each way to label, read and weigh; the others differ from one of these in words or numbers only.
KINDS = [
    "q-scorer-5",
    "words-common",
    "deqa",
    "videoscore",
    "realqa",
    "compare2score",
    "q-scorer-fidelity",
    "q-scorer-fidelity-head",
    "q-scorer-mixed",
    "q-scorer-hyper16",
    "q-scorer-kl",
]


def images(count: int, seed: int = 0) -> Batch:
    """Image tokens along one direction, and MOS that rise with it, of two data sets by turns."""
    generator = torch.Generator().manual_seed(seed)
    quality = torch.randn(count, generator=generator)
    direction = torch.randn(32, generator=torch.Generator().manual_seed(9))
    tokens = quality[:, None, None] * direction + 0.3 * torch.randn(count, 20, 32, generator=generator)
    return Batch(tokens, (3 + 0.9 * quality).clamp(1, 5), groups=torch.arange(count) % 2)


def ready(name: str, seed: int = 0):
    learner = build_learner(SYSTEMS[name], seed=seed, side=64, **TINY)
    some = images(6, seed=5)
    learner.anchors = Anchors(some.image_tokens, some.mos)
    return learner


def test_systems_name_only_what_there_is():
    labels, readouts = get_args(Label), get_args(Readout)
    for system in SYSTEMS.values():
        assert system.label in labels and system.readout in readouts and system.variance in ("", "head", "tokens")
        assert set(system.losses) <= set(PROPORTIONS)
    assert set(PROPORTIONS) <= set(LOSSES)
    for kind in labels:
        assert kind in {SYSTEMS[name].label for name in KINDS}


def test_losses_are_weighed_by_one_rule():
    for system in SYSTEMS.values():
        first, weights = next(iter(system.losses)), system.losses
        proportions = {name: weight / weights[first] * PROPORTIONS[first] for name, weight in weights.items()}
        expected = {name: PROPORTIONS[name] for name in weights}
        if system.name == "q-scorer-fidelity-equal":  # which is there to show what hangs on the rule
            expected["fidelity"] = 1.0
        assert proportions == pytest.approx(expected) and max(weights.values()) == 1


def test_every_row_and_claim_is_about_a_system_in_its_table():
    assert {row.system for rows in TABLES.values() for row in rows} <= set(SYSTEMS)
    for claim in CLAIMS:
        names = {row.system for row in TABLES[claim.table]}
        assert {claim.better, claim.worse} <= names


def paper_figure(claim, name: str, epochs: int) -> float:
    """The mean of PLCC and SRCC that the paper gives a claim's system on the claim's data sets."""
    rows = [row for row in TABLES[claim.table] if row.system == name and row.epochs == epochs]
    figures = rows[-1].paper  # of table 3, with three data sets
    wanted = [figures[data] for data in claim.data]
    return sum(map(sum, wanted)) / (2 * len(wanted))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.says)
def test_the_papers_own_figures_bear_its_claims_out(claim):
    better, worse = (
        paper_figure(claim, claim.better, claim.better_epochs),
        paper_figure(claim, claim.worse, claim.worse_epochs),
    )
    assert better > worse


def test_widths_keep_their_proportion_to_the_hidden_size():
    assert SYSTEMS["q-scorer-5"].widths_at(256) == (128, 64)
    assert SYSTEMS["q-scorer-deep"].widths_at(256) == (128, 64, 32, 16)


@pytest.mark.parametrize("name", KINDS)
def test_a_system_learns_and_reads(name):
    learner = ready(name)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-2)
    first, _ = learner.loss(images(32))
    for step in range(60 if name == "compare2score" else 25):  # pairs say less than numbers do
        learner.train()
        loss, parts = learner.loss(images(32, seed=step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert set(parts) == set(SYSTEMS[name].losses)
    assert loss < first
    shown = images(40, seed=99)
    reading = learner.read(shown.image_tokens)
    assert torch.corrcoef(torch.stack([reading.score, shown.mos]))[0, 1] > 0.5
    assert reading.score.shape == reading.uncertainty.shape == reading.token_mass.shape == (40,)
    assert (reading.uncertainty > 0).all()
    torch.testing.assert_close(learner.predict(shown.image_tokens), reading.score)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name not in KINDS])
def test_every_other_system_can_be_built_taught_and_read(name):
    learner = ready(name)
    learner.loss(images(4))[0].backward()
    assert learner.read(images(2).image_tokens).score.shape == (2,)


@pytest.mark.parametrize("name", KINDS)
def test_a_system_is_taught_and_read_at_the_same_position(name):
    """The logits that the losses see of the token that is read are those that the readout sees after the right words before it."""
    learner = ready(name).eval()
    shown = images(4)
    if SYSTEMS[name].label in ("comparison", "none"):
        pytest.skip("no single image, or no answer")
    taught = learner._taught(shown)
    words = learner.processor.tokenizer.convert_ids_to_tokens(taught.answer_ids[0].tolist())
    assert words[: len(STEM.split())] == STEM.split() and words[-2:] == [".", "<eos>"]
    said = words[len(STEM.split()) : taught.token_at]
    ids = learner.processor.prompt_ids(" ".join(said))
    alone = learner.model.decode(shown.image_tokens[:1], ids[None])
    torch.testing.assert_close(taught.token_logits[:1], alone.logits[:, -1], rtol=1e-4, atol=1e-4)
    assert taught.answer_ids[0, taught.token_at] in taught.token_ids


def test_a_level_word_goes_before_the_score_token_when_they_are_mixed():
    learner = ready("q-scorer-mixed")
    words = learner._answer(4.9)
    assert words == ("excellent", "<score5>") and [list(slot) for slot in learner._slot_words()][0] == list(LEVEL_WORDS)


def test_a_batch_reads_each_image_as_alone():
    for name in KINDS:
        learner, shown = ready(name), images(3)
        together = learner.read(shown.image_tokens).score
        alone = torch.cat([learner.read(one[None]).score for one in shown.image_tokens])
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)


def test_everything_but_the_encoder_is_trainable():
    for name, weight in build_learner(SYSTEMS["q-scorer-5"], side=64, **TINY).named_parameters():
        assert weight.requires_grad != name.startswith("model.encoder.")


def test_comparing_pairs_images_of_one_data_set_only():
    learner, shown = ready("compare2score"), images(5)
    paired, words = learner._pairs(shown)
    assert paired.image_tokens.shape[1] == 40 and len(words) == len(paired.mos)
    group_of = {round(mos, 5): group for mos, group in zip(shown.mos.tolist(), shown.groups.tolist(), strict=True)}
    assert [group_of[round(mos, 5)] for mos in paired.mos.tolist()] == paired.groups.tolist()


def test_what_a_system_cannot_learn_from_is_said():
    with pytest.raises(ValueError, match="no two images of the batch are of one data set"):
        ready("compare2score").loss(images(2))
    with pytest.raises(ValueError, match="cannot be written with one digit before the point"):
        build_learner(SYSTEMS["realqa"], scale=Scale(0.0, 100.0), side=64, **TINY)


def test_compare2score_wants_anchors():
    with pytest.raises(RuntimeError, match="anchors"):
        build_learner(SYSTEMS["compare2score"], side=64, **TINY).read(images(2).image_tokens)
