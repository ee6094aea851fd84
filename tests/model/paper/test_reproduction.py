"""The reproduction on a small folder laid out like BIQ2021: it goes on where it stopped, repeats itself, and reports every row."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from model import reproduce
from model.backbones.nano.connector import WIDTH, NanoConnector, summarise
from model.common.errors import DataError
from model.datasets import biq2021
from model.images.decoding import open_image
from model.paper import runs as reproduction_runs
from model.paper.charts import levels_figure
from model.paper.findings import NO_DATA, NOT_RUN, Measurements, findings, paper_difference, same_but_for_words
from model.paper.frozen_features import FrozenFeatures, frozen_encoder, look
from model.paper.plan import ALL_CLAIMS, ALL_ROWS, SHIFTED, Run, plan, read_setup, where
from model.paper.report import SCORER, report
from model.paper.results import packed, read_packed, unpacked
from model.paper.runs import perform
from model.paper.systems import SYSTEMS
from model.paper.verdicts import CONFIRMED, NOT_TESTABLE, OPEN, REFUTED

CPU = torch.device("cpu")
SUBSETS = ("ss03", "ss03", "ss01", "ss02")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Forty training images and sixteen test images of the three subsets; the more blurred, the lower the MOS."""
    folder = tmp_path_factory.mktemp("biq2021")
    (folder / "Images").mkdir()
    for part, count in (("Train", 40), ("Test", 16)):
        with (folder / f"{part} (Images and MOS).csv").open("w", newline="") as lines:
            table = csv.writer(lines)
            table.writerow(["Image Name", "MOS"])
            for n in range(count):
                name = f"{SUBSETS[n % 4]}_{part.lower()} ({n}).jpg"
                noise = np.random.default_rng(n).integers(0, 256, (64, 64, 3), dtype=np.uint8)
                blurred = Image.fromarray(noise).resize((96, 96)).filter(ImageFilter.GaussianBlur(4 * n / count))
                blurred.save(folder / "Images" / name)
                table.writerow([name, 1 - n / count])
    return folder


@pytest.fixture(scope="module")
def out(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    FrozenFeatures(folder, biq2021.all_images(data))
    return folder


@pytest.fixture
def features(data, out):
    return FrozenFeatures(out, biq2021.all_images(data))


@pytest.mark.slow
def test_features_are_what_the_encoder_sees(features, data):
    path = biq2021.all_images(data)[7]
    maps = frozen_encoder()(look(open_image(path))[None])
    of_it = features.of([path])
    assert of_it.shape == (1, WIDTH)
    torch.testing.assert_close(of_it[0, :24], maps[0].mean((2, 3))[0], rtol=2e-3, atol=2e-3)
    first_cell = maps[-1][0, :, :3, :3].mean(
        (1, 2)
    )  # 10 x 10 cells of 32 pixels, of which each of the 4 x 4 is a mean of some 3 x 3
    torch.testing.assert_close(of_it[0, -320 * 16 : -320 * 15], first_cell, rtol=1e-2, atol=2e-3)
    torch.testing.assert_close(of_it, summarise(maps), rtol=1e-2, atol=2e-3)
    assert NanoConnector(32)(of_it).shape == (1, 20, 32)


def test_features_of_another_encoder_are_not_read(data, tmp_path, monkeypatch):
    images = biq2021.all_images(data)[:3]
    first = FrozenFeatures(tmp_path, images)
    other = frozen_encoder()
    with torch.no_grad():
        other.stem.bias += 1e-3
    monkeypatch.setattr("model.paper.frozen_features.frozen_encoder", lambda: other)
    second = FrozenFeatures(tmp_path, images)
    assert first.encoder != second.encoder and len(list(tmp_path.glob("features-*.npy"))) == 2
    assert not torch.equal(first.of(images), second.of(images))


def test_every_claim_has_runs_in_its_table_or_no_data():
    for claim in ALL_CLAIMS:
        setup, names = where(claim)
        runs = plan(claim.table, 1)
        sides = ((claim.better, claim.better_epochs), (claim.worse, claim.worse_epochs))
        assert not names or all(Run(system, setup, epochs, 0) in runs for system, epochs in sides), claim


def test_subsets_are_data_sets_with_scales_of_their_own(data):
    two = read_setup(data, "two-sets")
    assert {item.dataset for item in two.train} == {"ss01", "ss03"}
    for item in two.train:
        low, high = SHIFTED[item.part]
        assert low <= item.mos <= high and item.scale == (1.0, 5.0)
    trained = {item.image for item in two.train}
    assert not any(item.image in trained for items in two.tests.values() for item in items)
    assert len(two.tests["ss02"]) == 14 and len(two.tests["ss01"]) == 4  # all of a set never seen, or its test part


def test_a_run_repeats_itself_and_another_seed_differs(data, features):
    run, setup = Run("q-scorer-fidelity", "three-sets", 2, 0), read_setup(data, "three-sets")
    first, again = (perform(run, setup, features, CPU)["tests"] for _ in range(2))
    assert first == again
    assert first != perform(replace(run, seed=1), setup, features, CPU)["tests"]


@pytest.mark.slow
def test_a_run_learns_from_the_frozen_encoder_alone(data, features):
    run, setup = Run("regressor-alone", "whole", 30, 0), read_setup(data, "whole")
    learner = reproduction_runs.train(run, setup.train, features, CPU)
    assert not any(weight.requires_grad for weight in learner.model.encoder.parameters())
    scores = reproduction_runs.scores_of(learner, setup.tests["BIQ2021"], features)
    assert np.corrcoef(scores, [item.mos for item in setup.tests["BIQ2021"]])[0, 1] > 0.7
    residuals = np.subtract(reproduction_runs.scores_of(learner, setup.train, features), [i.mos for i in setup.train])
    assert learner.residual_std == pytest.approx(np.sqrt(np.mean(residuals**2)), abs=1e-5)


@pytest.mark.slow
def test_an_interrupted_table_resumes_and_reports_each_row(data, out, tmp_path, monkeypatch):
    performed = []

    def perform_or_stop(run, *others):
        if patience == len(performed):
            raise KeyboardInterrupt
        performed.append(run)
        return perform(run, *others)

    def table2(docs):
        reproduce.reproduce(["table2"], 1, data, out, docs, "cpu")

    monkeypatch.setattr(reproduce, "perform", perform_or_stop)
    patience = 3
    with pytest.raises(KeyboardInterrupt):
        table2(tmp_path)
    before = {path.name: path.read_bytes() for path in (out / "reproduction").glob("*.json")}
    assert len(before) == 3
    # Then the whole of it, which also replaces a result of other settings and one of other losses.
    of_other_settings, of_other_losses, same = ((out / "reproduction" / name) for name in sorted(before))
    for path, change in ((of_other_settings, {"settings": {}}), (of_other_losses, {"losses": {"ranking": 1.0}})):
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    performed, patience = [], None
    table2(tmp_path)
    assert len(performed) == len(plan("table2", 1)) - 1
    after = {path.name: path for path in (out / "reproduction").glob("*.json")}
    assert sorted(after) == sorted(f"{run.name}.json" for run in plan("table2", 1))
    assert same.read_bytes() == before[same.name]
    for path in (of_other_settings, of_other_losses):
        assert json.loads(path.read_text())["tests"] == json.loads(before[path.name])["tests"]
    page = reproduce.write_page(out, tmp_path).read_text()
    for row in ALL_ROWS["table2"]:
        assert page.count(f"| {row.title} | `{row.system}` | {row.epochs} | 1 |") >= 4  # four test sets
    assert page.count("## Table") == 6 and "Not run." in page
    assert (out / "reproduction-claims.html").exists()
    # What stands beside the page is enough: it is neither run again nor needed to write the page.
    performed, elsewhere = [], tmp_path / "elsewhere"
    reproduce.reproduce(["table2"], 1, data, elsewhere, tmp_path, "cpu")
    assert not performed and reproduce.write_page(elsewhere, tmp_path).read_text() == page


def test_the_page_is_what_the_command_writes_from_the_results(tmp_path):
    for name in (reproduce.RESULTS, reproduce.EARLIER):
        shutil.copy(reproduce.DOCS / name, tmp_path)
    written = reproduce.write_page(tmp_path / "no runs", tmp_path)
    assert written.read_text() == (reproduce.DOCS / reproduce.PAGE).read_text()
    assert read_packed(tmp_path / reproduce.RESULTS) == read_packed(reproduce.DOCS / reproduce.RESULTS)


def made_up(system: str, noise: float, seed: int, setup: str = "whole", epochs: int = 3, images: int = 300) -> dict:
    """A result whose scores are the MOS and noise, of which half is the same for all seeds."""
    mos = np.random.default_rng(99).uniform(1, 5, images)
    shared, own = (np.random.default_rng([len(system), epochs, *more]).normal(size=images) for more in ((), (seed,)))
    scores = mos + noise * (shared + own) / 2**0.5
    tests = {"BIQ2021" if setup == "whole" else "ss03": {"mos": mos.tolist(), "scores": scores.tolist()}}
    return {
        "system": system,
        "setup": setup,
        "epochs": epochs,
        "seed": seed,
        "settings": reproduction_runs.settings("abc"),
        "losses": SYSTEMS[system].losses,
        "seconds": 30.0,
        "tests": tests,
    }


def page_of(results) -> str:
    measured = Measurements(results)
    return report(results, measured, findings(measured))


def claim_between(better: str, worse: str):
    return next(claim for claim in ALL_CLAIMS if (claim.better, claim.worse) == (better, worse))


@pytest.mark.parametrize(
    "noises, seeds, expected",
    [
        ((0.5, 1.5), 3, CONFIRMED),
        ((1.5, 0.5), 3, REFUTED),
        ((1.0, 1.0), 3, OPEN),
        ((0.5, 1.5), 2, OPEN),
    ],
)
def test_a_claim_is_judged_by_known_figures(noises, seeds, expected):
    claim = claim_between("q-scorer-5", "words-common")
    results = [
        made_up(name, noise, seed)
        for name, noise in zip((claim.better, claim.worse), noises, strict=True)
        for seed in range(seeds)
    ]
    found = next(one for one in findings(Measurements(results)) if one.claim == claim)
    assert found.verdict == expected and found.found.seeds == seeds
    assert found.paper == pytest.approx((0.959 + 0.948 - 0.932 - 0.938) / 2)


def test_earlier_figures_stand_until_as_many_seeds_were_run_again():
    claim = claim_between("q-scorer-5", "words-common")
    earlier = {
        "settings": None,
        "rows": {
            "q-scorer-5 whole 3 BIQ2021": {
                "seeds": 3,
                "plcc": [0.8, 0.7, 0.9],
                "srcc": [0.8, 0.7, 0.9],
                "raw_plcc": 0.8,
            }
        },
        "claims": {claim.says: {"seeds": 3, "merit": [0.01, 0.005, 0.015]}},
    }
    for seeds in (2, 3):
        results = [made_up(name, 1.0, seed) for name in ("q-scorer-5", "words-common") for seed in range(seeds)]
        measured = Measurements(results, earlier)
        found = next(one for one in findings(measured) if one.claim == claim)
        page = report(results, measured, [found])
        assert (found.p is None) == (seeds == 2) and (found.verdict == CONFIRMED) == (seeds == 2)
        assert ("| `q-scorer-5` | 3 | 3† | .800 [.700, .900]" in page) == (seeds == 2)


def test_claims_about_one_system_under_two_names_are_not_tested():
    claim = claim_between("words-score-tokens", "words-common")
    results = [made_up(name, 0.5 + n, seed) for n, name in enumerate((claim.better, claim.worse)) for seed in range(3)]
    found = next(one for one in findings(Measurements(results)) if one.claim == claim)
    assert found.verdict == NOT_TESTABLE and found.p is None and found.found.seeds == 3
    assert not same_but_for_words("q-align-3", "q-align-7") and not same_but_for_words("q-scorer-5", "q-scorer-kl")


def test_claims_are_corrected_for_together():
    """The same figures decide a claim alone, and no longer among many that have no substance."""
    good, bad = [
        [made_up(name, noise, seed) for seed in range(3)]
        for name, noise in (("q-scorer-5", 0.97), ("words-common", 1.0))
    ]
    others = [
        made_up(row.system, 1.0, seed)
        for row in ALL_ROWS["questions"]
        if row.system not in ("q-scorer-5", "words-common")
        for seed in range(3)
    ]
    alone, among = (
        next(one for one in findings(Measurements(results)) if one.claim == claim_between("q-scorer-5", "words-common"))
        for results in ([*good, *bad], [*good, *bad, *others])
    )
    assert alone.found == among.found and alone.p == alone.found.p < among.p


def test_what_was_not_run_and_what_has_no_data_is_said():
    by_claim = {one.claim: one for one in findings(Measurements([made_up("words-common", 1.0, 0)]))}
    assert by_claim[claim_between("q-scorer-5", "words-common")].verdict == NOT_RUN
    cross = next(c for c in ALL_CLAIMS if c.data == ("AGIQA-3K", "CSIQ"))
    assert by_claim[cross].verdict == NO_DATA
    assert paper_difference(next(c for c in ALL_CLAIMS if c.table == "questions")) is None


def test_the_report_has_the_figures_of_every_run_and_is_a_pure_function():
    results = [made_up(row.system, 0.8, seed) for row in ALL_ROWS["table1"] for seed in range(2)]
    page = page_of(results)
    assert page == page_of(results)
    for row in ALL_ROWS["table1"]:
        plcc, srcc = row.paper["KonIQ"]
        line = next(line for line in page.splitlines() if line.startswith(f"| {row.title} | `{row.system}` | 3 | 2 |"))
        assert line.endswith(f"| {plcc:.3f} / {srcc:.3f} |".replace("0.", "."))
    assert f"**{NOT_TESTABLE}**" in page and "5 with 2 seeds" in page
    with pytest.raises(DataError, match="no results"):
        page_of([])


def test_the_figure_of_levels_takes_the_rows_that_have_a_number_of_them():
    results = [made_up(row.system, 0.4, 0) for row in ALL_ROWS["questions"]]
    figure = levels_figure(Measurements(results))
    assert [(line.name, line.x) for line in figure.data] == [("Q-Scorer", (1, 3, 5, 7, 9)), ("Q-Align", (3, 5, 7, 9))]


def test_a_scorer_that_ranks_backwards_is_worth_no_raters_in_the_report():
    good, backwards = (made_up(SCORER[0], 0.5, seed, images=60) for seed in range(2))
    test = backwards["tests"]["BIQ2021"]
    test["scores"] = [-score for score in test["scores"]]
    alone, both = (page_of(results).split("## How many raters")[1] for results in ([backwards], [good, backwards]))
    assert alone.count(" 0.0 [0.0, 0.0] |") == 8 and "1 of 1 seeds rank backwards" in alone
    assert both.count(" [0.0, ") == 8 and " 0.0 [" not in both and "1 of 2 seeds rank backwards" in both


def test_results_are_kept_in_one_file_to_a_thousandth():
    results = [made_up("deqa", 1.0, seed) for seed in range(2)]
    for before, after in zip(results, unpacked(packed(results)), strict=True):
        scores = before["tests"]["BIQ2021"].pop("scores")
        assert after["tests"]["BIQ2021"].pop("scores") == pytest.approx(scores, abs=5e-4)
        assert after == before


def test_results_that_do_not_compare_are_refused():
    first, other = made_up("deqa", 1.0, 0), made_up("deqa", 1.0, 1)
    with pytest.raises(DataError, match="different settings"):
        packed([first, {**other, "settings": reproduction_runs.settings("another")}])
    with pytest.raises(DataError, match="different images"):
        packed([first, made_up("deqa", 1.0, 1, images=200)])


def test_a_page_of_nothing_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="no results"):
        reproduce.write_page(tmp_path / "runs", tmp_path)
    assert not list(tmp_path.iterdir())
