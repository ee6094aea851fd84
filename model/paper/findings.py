"""What the runs of the reproduction say: each row's figures, and each claim's verdict. Pure functions of the results' JSON objects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from model.paper.plan import ALL_CLAIMS, ALL_ROWS, TRAINED_ON, setups_of, where
from model.paper.systems import SYSTEMS, Claim, Row
from model.paper.verdicts import (
    FEWEST_SEEDS,
    NOT_TESTABLE,
    Estimate,
    Measured,
    difference,
    estimate,
    holm,
    measure,
    verdict,
)

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
    """A claim, how far the first system's merit is above the second's here and in the paper (None: not there), the verdict, and the
    p-value after Holm that it hangs on (None: the claim is not among those that are tested)."""

    claim: Claim
    found: Estimate | None
    paper: float | None
    verdict: str
    p: float | None = None


class Measurements:
    """The results, measured: by system, setup and epochs, then by seed, then by test set. earlier: figures of runs whose results are lost,
    which stand until as many seeds were run again."""

    def __init__(self, results: Iterable[Mapping], earlier: Mapping[str, Mapping] | None = None):
        self.earlier = earlier or {"settings": None, "rows": {}, "claims": {}}
        self.known: dict[tuple[str, str, int], dict[int, dict[str, Measured]]] = {}
        for result in results:
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
    old = measured.earlier["rows"].get(f"{row.system} {setup} {row.epochs} {test}")
    if old and len(of_seeds) < old["seeds"]:
        return RowFigures(row, *(Estimate(*old[name], old["seeds"]) for name in ("plcc", "srcc")), old["raw_plcc"])
    if not of_seeds:
        return RowFigures(row)
    plcc, srcc = (
        estimate([m.values[name] for m in of_seeds], [m.draws[name] for m in of_seeds]) for name in ("plcc", "srcc")
    )
    return RowFigures(row, plcc, srcc, sum(m.raw_plcc for m in of_seeds) / len(of_seeds))


def findings(measured: Measurements) -> list[Finding]:
    """All claims in order. Those that are tested are corrected for together: Holm's family is all of them on the page. Of earlier runs
    there is no p-value, and no correction."""
    found = [_not_judged(claim, measured) for claim in ALL_CLAIMS]
    tested = [
        n
        for n, one in enumerate(found)
        if one.found and one.found.p and one.found.seeds >= FEWEST_SEEDS and not one.verdict
    ]
    for n, p in zip(tested, holm([found[n].found.p for n in tested]), strict=True):
        found[n] = replace(found[n], p=p)
    return [one if one.verdict else replace(one, verdict=verdict(one.found, one.p, one.paper)) for one in found]


def _not_judged(claim: Claim, measured: Measurements) -> Finding:
    """A claim's difference. The verdict is empty where a test is to give it. Seeds that only one of the two systems was run with do not
    count."""
    setup, names = where(claim)
    paper = paper_difference(claim)
    if not names:
        return Finding(claim, None, paper, NO_DATA)
    better = measured.seeds(claim.better, setup, claim.better_epochs)
    worse = measured.seeds(claim.worse, setup, claim.worse_epochs)
    both = sorted(better.keys() & worse.keys())
    old = measured.earlier["claims"].get(claim.says)
    verdict = NOT_TESTABLE if same_but_for_words(claim.better, claim.worse) else "" if both or old else NOT_RUN
    if old and len(both) < old["seeds"]:
        return Finding(claim, Estimate(*old["merit"], old["seeds"]), paper, verdict)
    if not both:
        return Finding(claim, None, paper, verdict)
    found = difference(*([[seeds[seed][name] for name in names] for seed in both] for seeds in (better, worse)))
    return Finding(claim, found, paper, verdict)


def same_but_for_words(one: str, other: str) -> bool:
    """Whether two systems differ in the names of their tokens alone. To a decoder that has read nothing they are one system."""
    a, b = SYSTEMS[one], SYSTEMS[other]
    return one != other and len(a.tokens) == len(b.tokens) and replace(a, name=other, tokens=b.tokens) == b


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
