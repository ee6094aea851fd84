"""What the runs of the reproduction say: each row's figures, and each claim's verdict. Pure functions of the results' JSON objects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model.common.errors import DataError
from model.paper.plan import ALL_CLAIMS, ALL_ROWS, TRAINED_ON, setups_of, where
from model.paper.systems import Claim, Row
from model.paper.verdicts import Estimate, Measured, difference, estimate, measure, verdict

NOT_RUN, NO_DATA = "not run", "no such data"


@dataclass(frozen=True)
class RowFigures:
    """A row of a table on one test set: PLCC after the fit, SRCC, and the mean over seeds of PLCC without it. None: nothing was run."""

    row: Row
    plcc: Estimate | None = None
    srcc: Estimate | None = None
    raw_plcc: float | None = None


@dataclass(frozen=True)
class Finding:
    """A claim, how far the first system's merit is above the second's here and in the paper (None: not there), and the verdict."""

    claim: Claim
    found: Estimate | None
    paper: float | None
    verdict: str


class Measurements:
    """The results, measured: by system, setup and epochs, then by seed, then by test set."""

    def __init__(self, results: Iterable[Mapping]):
        self.known: dict[tuple[str, str, int], dict[int, dict[str, Measured]]] = {}
        mos: dict[tuple[str, str], list[float]] = {}
        for result in results:
            for name, test in result["tests"].items():
                if mos.setdefault((result["setup"], name), test["mos"]) != test["mos"]:
                    raise DataError(
                        f"results on {name} are of different images: run the tables again with one copy of BIQ2021."
                    )
            seeds = self.known.setdefault((result["system"], result["setup"], result["epochs"]), {})
            seeds[result["seed"]] = {
                name: measure(test["scores"], test["mos"]) for name, test in result["tests"].items()
            }

    def seeds(self, system: str, setup: str, epochs: int) -> dict[int, dict[str, Measured]]:
        return self.known.get((system, setup, epochs), {})


def tested_on(table: str) -> list[tuple[str, str]]:
    """The (setup, test set) that a table's figures are about, in order."""
    setups = dict.fromkeys(setup for row in ALL_ROWS[table] for setup in setups_of(row, table))
    return [(setup, name) for setup in setups for name in _test_sets(setup)]


def _test_sets(setup: str) -> Sequence[str]:
    return TRAINED_ON[setup] if setup == "whole" else TRAINED_ON["three-sets"]


def rows_of(table: str, setup: str, test: str, measured: Measurements) -> list[RowFigures]:
    """A table's rows on one test set after one kind of training."""
    return [row_figures(row, setup, test, measured) for row in ALL_ROWS[table] if setup in setups_of(row, table)]


def row_figures(row: Row, setup: str, test: str, measured: Measurements) -> RowFigures:
    of_seeds = [tests[test] for tests in measured.seeds(row.system, setup, row.epochs).values()]
    if not of_seeds:
        return RowFigures(row)
    plcc, srcc = (
        estimate([m.values[name] for m in of_seeds], [m.draws[name] for m in of_seeds]) for name in ("plcc", "srcc")
    )
    return RowFigures(row, plcc, srcc, sum(m.raw_plcc for m in of_seeds) / len(of_seeds))


def findings(measured: Measurements) -> list[Finding]:
    """All claims in order. Seeds that only one of the two systems was run with do not count."""
    return [finding(claim, measured) for claim in ALL_CLAIMS]


def finding(claim: Claim, measured: Measurements) -> Finding:
    setup, names = where(claim)
    paper = paper_difference(claim)
    if not names:
        return Finding(claim, None, paper, NO_DATA)
    better = measured.seeds(claim.better, setup, claim.better_epochs)
    worse = measured.seeds(claim.worse, setup, claim.worse_epochs)
    both = sorted(better.keys() & worse.keys())
    if not both:
        return Finding(claim, None, paper, NOT_RUN)
    found = difference(*([[seeds[seed][name] for name in names] for seed in both] for seeds in (better, worse)))
    return Finding(claim, found, paper, verdict(found))


def paper_difference(claim: Claim) -> float | None:
    """The paper's own difference of merits, means of PLCC and SRCC over the claim's data sets; None for a claim that is not the paper's."""
    merits = [
        _paper_merit(claim, *side) for side in ((claim.better, claim.better_epochs), (claim.worse, claim.worse_epochs))
    ]
    return None if None in merits else merits[0] - merits[1]


def _paper_merit(claim: Claim, system: str, epochs: int) -> float | None:
    rows = [row for row in ALL_ROWS[claim.table] if row.system == system and row.epochs == epochs]
    figures = rows[-1].paper  # of table 3, trained on three sets
    if not figures:
        return None
    return sum(sum(figures[name]) for name in claim.data) / (2 * len(claim.data))
