"""The parts behind the tabs, without a browser and without a model."""

import csv
import dataclasses
from pathlib import Path

import gradio as gr
import pytest

from app import cards
from app.adapt_tab import AdaptTab, adapters_table, choices, command, points_in_words
from app.figures import Point
from app.page import last_rater
from app.score_files import csv_file
from app.session import Scored
from app.settings import EXAMPLES, parse_settings
from app.shown_names import breakable, short
from model.backbones.adapter_card import AdapterCard, BrokenAdapter
from model.scoring.assessment import Failure
from tests.app.examples import assessment


def test_names_from_outside_are_escaped():
    hostile = "<img src=x onerror=alert(1)>.jpg"
    shown = [
        cards.score_card(Scored(Path(hostile), assessment(), "0" * 64, looked_at=hostile), "data:,"),
        cards.problems([Failure(hostile, "not an image")]),
        cards.results_table([Scored(Path(hostile), assessment(), "0" * 64)], ["data:,"]),
        cards.chart_words([(hostile, assessment())], "x"),
    ]
    assert not any("<img src=x" in html for html in shown)


def test_the_csv_has_a_row_for_each_image_and_the_error_of_each_failure():
    scored = Scored(Path("/tmp/x/a.jpg"), assessment(image="/tmp/x/a.jpg"), "0" * 64)
    with open(csv_file([scored], [Failure("/tmp/x/b.jpg", "empty file")]), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["error"]) for row in rows] == [("a.jpg", ""), ("b.jpg", "empty file")]
    assert float(rows[0]["score"]) == 3.88 and rows[0]["scale"] == "1.0 5.0" and "task" not in rows[0]


def test_what_was_asked_for_is_told_in_table_card_and_csv():
    beauty, film = (
        Scored(Path("a.jpg"), assessment(), "0" * 64, "aesthetics"),
        Scored(Path("b.mp4"), assessment(), "0" * 64, "video"),
    )
    with open(csv_file([beauty, film], [Failure("c.jpg", "empty file")]), encoding="utf-8") as file:
        assert [row["task"] for row in csv.DictReader(file)] == ["aesthetics", "video", ""]
    mixed = cards.results_table([beauty, film], ["data:,"] * 2)
    assert mixed.count("aesthetics<") == mixed.count("video quality<") == 1
    assert "scores of aesthetics from 1" in cards.results_table([beauty, beauty], ["data:,"] * 2)
    assert "video quality" in cards.score_card(film, "data:,")


def test_a_quotation_mark_in_a_files_name_is_shown_as_one():
    shown = cards.score_card(Scored(Path("/tmp/a %22b%22.jpg"), assessment(), "0" * 64), "data:,")
    assert "a &quot;b&quot;.jpg" in shown and "%22" not in shown


def test_a_space_listens_for_everybody_and_a_laptop_only_for_itself(monkeypatch):
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    assert (parse_settings([]).host, parse_settings([]).port) == ("127.0.0.1", 7860)
    monkeypatch.setenv("SPACE_ID", "somebody/q-scorer")
    assert parse_settings([]).host == "0.0.0.0"


def test_the_command_can_be_pasted_even_with_a_space_in_the_folder():
    settings = dataclasses.replace(parse_settings([]), data_dir=Path("my data"))
    assert (
        command(settings, "nano+mine") == "python -m model.finetune --data-dir 'my data' --model nano+mine --out NAME"
    )


def test_what_a_browser_remembers_is_a_name_or_nothing():
    assert last_rater({"rater": "Ada", "token": "of an earlier version"}) == "Ada"
    assert [last_rater(odd) for odd in (None, {}, [], "Ada")] == [gr.skip()] * 4  # what is being typed stays


def test_a_broken_adapter_is_listed_with_its_sentence():
    assert "lacks card.json" in adapters_table([BrokenAdapter("mine", "data/adapters/mine lacks card.json")], {})


def adapter_card(better: bool, verdict: str) -> AdapterCard:
    given = {field.name: None for field in dataclasses.fields(AdapterCard)}
    given |= {
        "name": "mine",
        "base": "nano",
        "scale": (1.0, 5.0),
        "trained": 8,
        "held_out": 3,
        "before": {"rmse": 0.5},
        "after": {"rmse": 0.4},
        "rung": "head",
        "better": better,
        "verdict": verdict,
    }
    return AdapterCard(**given)


@pytest.mark.parametrize("better", [True, False])
def test_the_gates_verdict_stands_beside_an_adapter(better):
    card = adapter_card(better, "Its verdict.")
    assert f'<div class="{"small" if better else "worse"}">Its verdict.</div>' in adapters_table([card], {"mine"})
    assert ("not shown to be better" in str(choices([card], [], {"mine": "nano+mine"}))) is not better


def test_the_chart_says_how_many_of_its_images_the_adapter_has_learnt():
    points = [Point(3, 3.5, 1, None, learnt=number < 2) for number in range(3)]
    assert "nano+mine was trained on 2 of these 3 images" in points_in_words(points, "nano+mine")
    assert "trained" not in points_in_words(points, "nano")


@pytest.mark.slow
def test_what_can_be_fine_tuned_gets_the_command_and_the_rest_its_reason(tmp_path):
    bench = AdaptTab(parse_settings([]), None, None)
    base = "tests/fixtures/mplug_owl2/qscorer_tiny/base_mplug_owl2"
    for spec in ("nano-qalign", "tests/fixtures/mplug_owl2/qscorer_tiny/merged", f"{base}+{base}/../adapter"):
        assert not bench.why_not_tuned(spec)
        assert bench.how_to_tune(spec)[0].value.endswith(f"--model {spec} --out NAME")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    code, said = bench.how_to_tune(str(tmp_path))
    assert not code.visible and "a model of type &#x27;llama&#x27;, which cannot be fine-tuned" in said


def test_an_adapter_of_a_folder_is_offered_once_its_folder_is_known(tmp_path):
    base, adapter = tmp_path / "models" / "Qwen3.5-2B", tmp_path / "data" / "adapters" / "mine"
    base.mkdir(parents=True), adapter.mkdir(parents=True)
    (base / "config.json").write_text("{}")
    (adapter / "adapter_config.json").write_text("{}")
    bench = AdaptTab(parse_settings(["--data-dir", str(tmp_path / "data")]), None, None)
    card = dataclasses.replace(adapter_card(True, ""), base="Qwen3.5-2B")
    assert bench.usable_spec(card, ["nano"]) == ""
    assert "give the folder Qwen3.5-2B as the model first" in adapters_table([card], {})
    specs = ["nano", str(base), "nano-qalign"]
    assert bench.usable_spec(card, specs) == f"{base}+mine"
    offered = dict(choices([card], specs, {"mine": f"{base}+mine"}))
    assert offered["Qwen3.5-2B+mine"] == f"{base}+mine" and {"nano", str(base)} < set(offered.values())
    assert bench.usable_spec(adapter_card(True, ""), ["nano"]) == "nano+mine"


def test_a_deep_folder_is_shown_by_its_end_and_a_name_whole():
    assert short("/models/of mine/q-align/") == "…/of mine/q-align"
    assert short("/a/b/base+/a/b/lora") == "…/b/base+…/b/lora"
    assert [short(spec) for spec in ("nano+mine", "owner/model@1", "./model")] == [
        "nano+mine",
        "owner/model@1",
        "./model",
    ]
    assert 'title="/a/b/&lt;i&gt;"' in breakable("/a/b/<i>") and "<i>" not in breakable("/a/b/<i>")


def test_the_examples_ship_with_the_page():
    assert len(list(EXAMPLES.glob("*.jpg"))) >= 10
