"""Promoting adapters and going back: the history on disk, the command, and who refuses what."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from model import adapters as command
from model.backbones import promotion
from model.backbones.adapter_card import read_card
from model.common.errors import DataError, ModelLoadError
from model.finetuning.correcting import correct
from tests.model.tiny import gallery


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data folder with two corrections of nano: `good`, which the gate found better, and `bad`, which it did not."""
    data = tmp_path_factory.mktemp("data")
    rated = gallery(data / "images")
    for name in ("good", "bad"):
        card = correct(rated, "nano", data / "adapters" / name, "recalibrate", device="cpu")
        judged = replace(
            card, better=name == "good", verdict="Better than nano." if name == "good" else "Worse than nano."
        )
        (data / "adapters" / name / "card.json").write_text(judged.to_json())
    return data


@pytest.fixture
def adapters(made):
    (made / "adapters" / promotion.HISTORY).unlink(missing_ok=True)
    return made / "adapters"


def test_everyone_uses_what_is_promoted_until_somebody_goes_back(adapters):
    assert promotion.in_use(adapters) == ""
    first = promotion.promote(adapters, "nano+good", "Ada")
    assert (first.action, first.before, first.reason) == ("promote", "", "Better than nano.")
    assert first.figures == {"before": (card := read_card(adapters / "good")).before, "after": card.after}
    second = promotion.promote(adapters, "nano+bad", "Bo", "people like it")
    assert (second.action, second.before, promotion.in_use(adapters)) == ("overrule", "nano+good", "nano+bad")
    assert (promotion.roll_back(adapters, "Ada").spec, promotion.in_use(adapters)) == ("nano+good", "nano+good")
    promotion.roll_back(adapters, "Ada", "enough")
    assert promotion.in_use(adapters) == "" and [change.who for change in promotion.history(adapters)] == [
        "Ada",
        "Bo",
        "Ada",
        "Ada",
    ]
    with pytest.raises(DataError, match="nothing to go back on"):
        promotion.roll_back(adapters, "Ada")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nano+bad", "bad is not promoted. Worse than nano. To use it all the same, give a reason"),
        ("nano", "nano has no adapter of this data folder"),
        ("nano+../images", "has no adapter of this data folder"),
    ],
)
def test_what_is_not_promoted_is_one_sentence_and_changes_nothing(adapters, spec, words):
    with pytest.raises(DataError, match=words):
        promotion.promote(adapters, spec, "Ada")
    assert not promotion.history(adapters)


def test_of_many_who_promote_at_once_every_change_is_kept(adapters):
    def twice(n):
        promotion.promote(adapters, f"nano+{'good' if n % 2 else 'bad'}", str(n), "because") if n < 2 else None

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(twice, range(2)))
    assert sorted(change.who for change in promotion.history(adapters)) == ["0", "1"]


def test_a_damaged_history_or_a_removed_adapter_leaves_the_pages_own_scorer_in_use(adapters):
    promotion.promote(adapters, "nano+good", "Ada")
    kept = (adapters / "good").rename(adapters / "elsewhere")
    assert promotion.in_use(adapters) == ""
    kept.rename(adapters / "good")
    assert promotion.in_use(adapters) == "nano+good"
    (adapters / promotion.HISTORY).write_text(json.dumps({"changes": [{"action": "promote"}]}))
    assert promotion.in_use(adapters) == ""
    with pytest.raises(ModelLoadError, match="is not a history of adapters"):
        promotion.history(adapters)


def test_the_command_lists_promotes_and_goes_back(adapters, capsys):
    def run(*words):
        status = command.main(["--data-dir", str(adapters.parent), *words])
        return status, *capsys.readouterr()

    assert run("promote", "good")[0] == 0
    assert "* good: on nano, recalibrate. Better than nano." in run("list")[1]
    status, _, err = run("promote", "bad")
    assert status == 2 and err.startswith("error: bad is not promoted. Worse than nano.")
    assert "against the gate (on trial)" in run("promote", "bad", "--overrule", "on trial")[1]
    assert "back to nano+good from nano+bad" in run("rollback")[1]
    assert run("promote", "none")[0] == 2
