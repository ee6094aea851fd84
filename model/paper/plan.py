"""Which trainings stand for which rows of the paper's tables: on which part of BIQ2021, tested where. Plain data, no torch.

BIQ2021 takes KonIQ's place. Where the paper goes from one data set to others, BIQ2021's subsets stand for data sets: ss03 (photographs of
the web) for KonIQ, ss01 (snapshots) for SPAQ, ss02 (faults made on purpose) for KADID; nothing stands for LIVE-Wild, AGIQA-3K and CSIQ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from model.common.scale import Scale
from model.datasets import biq2021
from model.datasets.rated import RatedImage
from model.paper.systems import CLAIMS, TABLES, THREE, Claim, Row

WHOLE = "BIQ2021"
STANDS_FOR = {"KonIQ": "ss03", "SPAQ": "ss01", "KADID": "ss02"}
# What each subset's MOS of 1 to 5 become, so that the same MOS means another quality in another set, as it does between data sets.
SHIFTED = {"ss03": Scale(1.0, 5.0), "ss01": Scale(1.0, 4.0), "ss02": Scale(2.0, 5.0)}
TRAINED_ON = {
    "whole": (WHOLE,),
    "one-set": ("ss03",),
    "two-sets": ("ss03", "ss01"),
    "three-sets": ("ss03", "ss01", "ss02"),
}
CROSS_TABLES = ("table2", "table6")  # of whose rows the paper claims something on data that they were not trained on


@dataclass(frozen=True)
class Run:
    """One training: a system of model/paper/systems.py, what it is trained on (a key of TRAINED_ON), epochs, seed."""

    system: str
    setup: str
    epochs: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.setup}-{self.system}-{self.epochs}-epochs-seed-{self.seed}"


@dataclass(frozen=True)
class Setup:
    """Images to train on, and by data set those to test on; `dataset` of each says which it counts to."""

    train: list[RatedImage]
    tests: Mapping[str, list[RatedImage]]


# The open questions: how many levels, direct regression against levels, and what no table of the paper has.
QUESTIONS: tuple[Row, ...] = (
    Row("Q-Scorer, 1 score token", "q-scorer-1", {}),
    *(Row(f"Q-Scorer, {count} score tokens", f"q-scorer-{count}", {}) for count in (3, 5, 7, 9)),
    *(
        Row(f"Q-Align, {count} levels", "words-common" if count == 5 else f"q-align-{count}", {})
        for count in (3, 5, 7, 9)
    ),
    Row("VideoScore: a linear layer, no tokens", "videoscore", {}),
    Row("Q-Scorer's regressor, no tokens", "regressor-alone", {}),
    Row("DeQA-Score", "deqa", {}),
    Row("RealQA: the number written out", "realqa", {}),
    Row("Q-Bench: good or poor", "q-bench", {}),
    Row("Q-Scorer, fidelity, variance of the tokens", "q-scorer-fidelity", {}),
    Row("Q-Scorer, fidelity, variance a second output", "q-scorer-fidelity-head", {}),
    Row("Q-Scorer, asked for the tokens' mass", "q-scorer-mass", {}),
)
EQUAL_FIDELITY = Row("Ours (F-loss), equal weights", "q-scorer-fidelity-equal", {}, trained_on=THREE)
HYPOTHESES: tuple[Claim, ...] = (
    # What hangs on the weight of the fidelity loss (PROPORTIONS in systems.py).
    Claim("table3", "q-scorer-fidelity-equal", "q-scorer-5", "with equal weights, the fidelity loss helps Q-Scorer"),
    Claim("table3", "q-scorer-fidelity-equal", "deqa", "with equal weights, Q-Scorer with the fidelity loss does better than DeQA-Score"),
    Claim("table3", "q-scorer-fidelity", "q-scorer-fidelity-equal", "ten times the weight of the fidelity loss does better"),
    Claim("questions", "regressor-alone", "words-common", "direct regression does better than five levels"),
    Claim("questions", "videoscore", "words-common", "even a linear layer does better than five levels"),
    Claim("questions", "q-scorer-5", "regressor-alone", "score tokens help the regressor"),
    *(
        Claim("questions", "q-scorer-5", f"q-scorer-{count}", f"Q-Scorer: five tokens do better than {count}")
        for count in (1, 3, 7, 9)
    ),
    *(
        Claim("questions", "words-common", f"q-align-{count}", f"Q-Align: five levels do better than {count}")
        for count in (3, 7, 9)
    ),
    Claim("questions", "words-common", "realqa", "five levels do better than a number written out"),
    Claim("questions", "words-common", "q-bench", "five levels do better than two"),
    # Appendix C.1 says the first without figures, appendix D.1 proposes the second.
    Claim("questions", "q-scorer-fidelity", "q-scorer-fidelity-head", "the tokens give a better variance than a second output"),
    Claim("questions", "q-scorer-mass", "q-scorer-5", "asking for the score tokens' mass helps"),
)  # fmt: skip
ALL_ROWS: Mapping[str, tuple[Row, ...]] = {
    **TABLES,
    "table3": (*TABLES["table3"], EQUAL_FIDELITY),
    "questions": QUESTIONS,
}
ALL_CLAIMS = (*CLAIMS, *HYPOTHESES)


def setup_of(row: Row, table: str) -> str:
    """What a row of a table is trained on."""
    if table == "table3":
        return "three-sets" if row.trained_on == THREE else "two-sets"
    return "whole"


def setups_of(row: Row, table: str) -> tuple[str, ...]:
    """All trainings of a row: where the paper claims something on other data, a second one, on one subset."""
    return (setup_of(row, table), *(("one-set",) if table in CROSS_TABLES else ()))


def plan(table: str, seeds: int) -> list[Run]:
    """The runs of a table, seed by seed, so that whatever is there when it is interrupted compares."""
    return [
        Run(row.system, setup, row.epochs, seed)
        for seed in range(seeds)
        for row in ALL_ROWS[table]
        for setup in setups_of(row, table)
    ]


def where(claim: Claim) -> tuple[str, tuple[str, ...]]:
    """What the systems of a claim are trained on, and the data sets that it is judged by: none where nothing stands for the paper's."""
    if claim.table == "table3":
        return "three-sets", tuple(STANDS_FOR[name] for name in claim.data)
    if claim.data == ("KonIQ",):
        return "whole", (WHOLE,)
    return "one-set", tuple(STANDS_FOR[name] for name in claim.data if name in STANDS_FOR)


def read_setup(folder: Path, name: str) -> Setup:
    """The images of a setup. Of a set that is trained on, the official test part is tested; of another, all but near-duplicates of what
    is trained on. Nothing looks at the validation part."""
    sets = TRAINED_ON[name]
    train, _ = biq2021.train_and_validation(folder)
    test = biq2021.test_part(folder)
    if sets == (WHOLE,):
        return Setup(train, {WHOLE: test})
    train = [_of_subset(item) for item in train if item.part in sets]
    seen = {item.content for item in train} - {""}
    unseen = [item for item in biq2021.read_part(folder, "Train") if item.part not in sets and item.content not in seen]
    tests = {part: [] for part in STANDS_FOR.values()}
    for item in (*test, *unseen):
        tests[item.part].append(_of_subset(item))
    return Setup(train, tests)


def _of_subset(item: RatedImage) -> RatedImage:
    """An image of a subset as one of a data set with a scale of its own: its MOS put where that set's raters would have put it."""
    return replace(item, mos=item.mos_on(SHIFTED[item.part]), dataset=item.part)
