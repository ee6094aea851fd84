"""The systems of the paper's tables as configuration: tokens, label, readout, losses, what is trained; and what the paper reports of each.

`SYSTEMS` has them by name, `TABLES` the rows of tables 1 to 6 with the paper's figures, `CLAIMS` the orderings that the paper reads from
them. model/readouts/systems.py says what a system is, model/paper/learner.py makes one of nano. Plain data, no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from model.paper.labels import BINARY_WORDS, COMPARISONS, COUNTS, WORD_SETS
from model.readouts.levels import LEVEL_WORDS, score_tokens
from model.readouts.systems import DEQA_LOSSES, Q_SCORER, System, weighed


def _weighted(name: str, tokens: tuple[str, ...]) -> System:
    return System(name, tokens, readout="weighted", losses=weighed("cross_entropy"))


def _with(name: str, loss: str) -> System:
    return System(name, losses=weighed(*Q_SCORER, loss))


SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        # Q-Scorer: five score tokens and a regressor ("Ours (5)"), and other numbers of tokens.
        *(System(f"q-scorer-{count}", score_tokens(count)) for count in COUNTS),
        # Q-Align, and with other numbers of levels, which then have names that mean nothing.
        *(_weighted(f"q-align-{count}", score_tokens(count)) for count in (3, 7, 9)),
        # Table 1. "common" is Q-Align itself, "score tokens" table 4's row without a regressor.
        *(_weighted(f"words-{name.replace(' ', '-')}", words) for name, words in WORD_SETS.items()),
        # The other methods.
        System("deqa", LEVEL_WORDS, "soft", "weighted", losses=DEQA_LOSSES),
        System("videoscore", (), "none", widths=(), losses=weighed("squared_error")),
        System("regressor-alone", (), "none", losses=weighed("squared_error")),  # VideoScore with Q-Scorer's regressor
        System("realqa", (), "digits", "digits", losses=weighed("cross_entropy")),
        _weighted("q-bench", BINARY_WORDS),
        System("compare2score", COMPARISONS, "comparison", "comparison", losses=weighed("cross_entropy")),
        # Table 3: the loss that brings several data sets together, with the variance from either place.
        System("q-scorer-fidelity", variance="tokens", losses=weighed(*Q_SCORER, "fidelity")),
        System("q-scorer-fidelity-head", variance="head", losses=weighed(*Q_SCORER, "fidelity", "calibration")),
        # What hangs on the rule: the same loss with the cross-entropy's own weight.
        System("q-scorer-fidelity-equal", variance="tokens", losses=weighed(*Q_SCORER, fidelity=1.0)),
        # Table 4: depths of the regressor, and level words in the score tokens' place or before them.
        System("q-scorer-shallow", widths=(512, 256)),
        System("q-scorer-deep", widths=(2048, 1024, 512, 256)),
        System("q-scorer-mixed", label="word_then_token"),
        System("q-scorer-bare", LEVEL_WORDS),
        # Table 6 and appendix D.1: Q-Scorer with something of another method.
        _with("q-scorer-kl", "soft_label_divergence"),
        _with("q-scorer-norm", "norm_in_norm"),
        System("q-scorer-hyper16", hyper_units=16),
        System("q-scorer-hyper64", hyper_units=64),
        _with("q-scorer-ranking", "ranking"),
        _with("q-scorer-mass", "token_mass"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of a table of the paper: how it is called there, our system for it, its epochs where they differ from the usual 3, and the
    paper's figures by data set, (PLCC, SRCC), after the logistic fit. `trained_on`: of table 3, the data sets."""

    title: str
    system: str
    paper: Mapping[str, tuple[float, float]]
    epochs: int = 3
    trained_on: tuple[str, ...] = ("KonIQ",)


CROSS = ("KonIQ", "SPAQ", "KADID", "LIVE-Wild", "AGIQA-3K", "CSIQ")
OTHER = CROSS[1:]
TWO, THREE = ("KonIQ", "SPAQ"), ("KonIQ", "SPAQ", "KADID")


def _figures(text: str, names: tuple[str, ...] = CROSS) -> dict[str, tuple[float, float]]:
    """PLCC and SRCC of each data set in turn, as in ".944 .942 .887 .893"."""
    numbers = [float(number) for number in text.split()]
    return dict(zip(names, zip(numbers[::2], numbers[1::2], strict=True), strict=False))


_BASE = ".959 .948 .898 .898 .676 .671 .889 .870 .821 .736 .796 .746"
_OURS_1 = ".960 .950 .900 .899 .660 .645 .903 .888 .811 .722 .795 .733"

TABLES: dict[str, tuple[Row, ...]] = {
    "table1": (
        Row("Common", "words-common", _figures(".932 .938")),
        Row("Reverse", "words-reversed", _figures(".922 .931")),
        Row("Number", "words-number", _figures(".924 .934")),
        Row("Random", "words-random", _figures(".925 .936")),
        Row("Ours", "words-score-tokens", _figures(".944 .942")),
    ),
    "table2": (
        Row("Compare2Score", "compare2score", _figures(".923 .910 .867 .860 .500 .453 .786 .772 .777 .671 .735 .705")),
        Row("Q-Align", "words-common", _figures(".932 .938 .874 .886 .624 .632 .858 .859 .806 .735 .772 .730")),
        Row("DeQA-Score", "deqa", _figures(".953 .941 .895 .896 .694 .687 .892 .879 .809 .729 .787 .744")),
        Row("Ours (5)", "q-scorer-5", _figures(_BASE)),
        Row("Ours (1)", "q-scorer-1", _figures(_OURS_1)),
    ),
    "table3": tuple(
        Row(title, system, _figures(figures, THREE), trained_on=names)
        for names, rows in {
            TWO: (
                ("Q-Align", "words-common", ".943 .940 .933 .931 .692 .708"),
                ("DeQA-Score", "deqa", ".953 .943 .936 .933 .724 .719"),
                ("Ours (5)", "q-scorer-5", ".954 .941 .936 .932 .672 .661"),
                ("Ours (1)", "q-scorer-1", ".950 .936 .934 .931 .646 .628"),
                ("Ours (F-loss)", "q-scorer-fidelity", ".961 .950 .937 .934 .702 .689"),
            ),
            THREE: (
                ("Q-Align", "words-common", ".945 .938 .933 .931 .935 .934"),
                ("DeQA-Score", "deqa", ".957 .944 .938 .934 .955 .953"),
                ("Ours (5)", "q-scorer-5", ".953 .939 .936 .932 .961 .958"),
                ("Ours (1)", "q-scorer-1", ".952 .938 .934 .930 .959 .956"),
                ("Ours (F-loss)", "q-scorer-fidelity", ".961 .951 .938 .935 .963 .961"),
            ),
        }.items()
        for title, system, figures in rows
    ),
    "table4": (
        Row("without", "words-score-tokens", _figures(".944 .942 .887 .893 .629 .622 .871 .855 .816 .735 .755 .717")),
        Row("[512, 256]", "q-scorer-shallow", _figures(".957 .948 .895 .893 .643 .629 .883 .869 .796 .706 .782 .731")),
        Row("[2048, 1024, 512, 256]", "q-scorer-deep", _figures(".938 .927 .869 .866 .586 .576 .843 .844 .810 .689 .743 .697")),
        Row("level token (mix)", "q-scorer-mixed", _figures(".948 .940 .896 .896 .653 .635 .873 .853 .772 .685 .759 .684")),
        Row("level token (bare)", "q-scorer-bare", _figures(".946 .935 .887 .883 .607 .592 .862 .854 .817 .707 .774 .727")),
        Row("Our (base)", "q-scorer-5", _figures(".959 .948 .898 .898 .676 .671 .889 .870 .821 .734 .796 .732")),
    ),
    "table5": (
        Row("VideoScore", "videoscore", _figures(".890 .882"), 2),
        Row("VideoScore", "videoscore", _figures(".923 .908"), 6),
        Row("Ours", "q-scorer-5", _figures(".929 .919"), 1),
        Row("Ours", "q-scorer-5", _figures(".957 .945"), 2),
        Row("Ours (base)", "q-scorer-5", _figures(".959 .948"), 3),
        Row("Ours", "q-scorer-5", _figures(".959 .949"), 4),
        Row("Ours", "q-scorer-5", _figures(".957 .947"), 5),
        Row("Ours", "q-scorer-5", _figures(".957 .948"), 6),
    ),
    "table6": (
        Row("Ours (5)", "q-scorer-5", _figures(_BASE)),
        Row("Ours (1)", "q-scorer-1", _figures(_OURS_1)),
        Row("Ours (KL)", "q-scorer-kl", _figures(".963 .953 .898 .898 .643 .630 .881 .858 .786 .713 .778 .734")),
        Row("Ours (N-loss)", "q-scorer-norm", _figures(".959 .948 .896 .896 .679 .670 .889 .871 .819 .737 .804 .746")),
        Row("Ours (Hyper16)", "q-scorer-hyper16", _figures(".950 .940 .894 .896 .643 .624 .860 .841 .821 .760 .778 .737")),
        Row("Ours (Hyper64)", "q-scorer-hyper64", _figures(".946 .930 .893 .893 .652 .629 .853 .822 .823 .762 .827 .783")),
        Row("Ours (R-loss)", "q-scorer-ranking", _figures(".961 .951 .895 .895 .657 .642 .895 .882 .813 .711 .792 .731")),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """An ordering that the paper reads from a table: `better` before `worse`, systems by name, with epochs where they decide; `data`:
    the data sets that it is about, of which KonIQ was trained on; note: what to bear in mind beside the verdict."""

    table: str
    better: str
    worse: str
    says: str
    better_epochs: int = 3
    worse_epochs: int = 3
    data: tuple[str, ...] = ("KonIQ",)
    note: str = ""


FROM_NOTHING = "of a decoder trained from nothing, which the paper's is not"

CLAIMS: tuple[Claim, ...] = (
    *(
        Claim("table1", "words-score-tokens", worse, f"score tokens do better than {worse.removeprefix('words-')} words")
        for worse in ("words-common", "words-reversed", "words-number", "words-random")
    ),
    *(
        Claim("table1", "words-common", f"words-{worse}", f"common words do better than {worse} ones")
        for worse in ("reversed", "number", "random")
    ),
    *(
        Claim("table2", "q-scorer-5", worse, f"Q-Scorer does better than {name}")
        for worse, name in (("words-common", "Q-Align"), ("deqa", "DeQA-Score"), ("compare2score", "Compare2Score"))
    ),
    Claim("table2", "q-scorer-5", "words-common", "Q-Scorer does better than Q-Align on other data", data=OTHER),
    Claim("table2", "q-scorer-1", "q-scorer-5", "on one data set, one score token does better than five"),
    Claim("table3", "q-scorer-5", "words-common", "Q-Scorer does better than Q-Align on several data sets"),
    Claim("table3", "q-scorer-5", "q-scorer-1", "on several data sets, five score tokens do better than one"),
    Claim("table3", "deqa", "q-scorer-5", "on several data sets, DeQA-Score does better than plain Q-Scorer"),
    Claim("table3", "q-scorer-fidelity", "q-scorer-5", "the fidelity loss helps Q-Scorer on several data sets"),
    Claim("table3", "q-scorer-fidelity", "deqa", "with the fidelity loss Q-Scorer does better than DeQA-Score"),
    *(
        Claim("table4", "q-scorer-5", worse, f"the base does better than {what}")
        for worse, what in (
            ("words-score-tokens", "a weighted sum over the score tokens"),
            ("q-scorer-shallow", "a narrower regressor"),
            ("q-scorer-deep", "a deeper regressor"),
            ("q-scorer-mixed", "level words before the score tokens"),
            ("q-scorer-bare", "level words in the score tokens' place"),
        )
    ),
    Claim("table5", "q-scorer-5", "videoscore", "one epoch of Q-Scorer beats six of VideoScore", 1, 6, note=FROM_NOTHING),
    Claim("table5", "q-scorer-5", "videoscore", "at two epochs Q-Scorer beats VideoScore", 2, 2),
    Claim("table5", "videoscore", "videoscore", "VideoScore goes on improving from two epochs to six", 6, 2),
    Claim("table5", "q-scorer-5", "q-scorer-5", "Q-Scorer has converged after three to four epochs, not after one", 3, 1),
    Claim("table6", "q-scorer-kl", "q-scorer-5", "the KL loss helps on the data that was trained on"),
    Claim("table6", "q-scorer-5", "q-scorer-kl", "the KL loss costs on other data", data=OTHER),
    Claim("table6", "q-scorer-norm", "q-scorer-5", "the norm-in-norm loss helps on other data", data=OTHER),
    Claim("table6", "q-scorer-5", "q-scorer-hyper16", "the hyper network costs on the data that was trained on"),
    Claim("table6", "q-scorer-hyper64", "q-scorer-5", "the hyper network helps on generated and synthetic data", data=("AGIQA-3K", "CSIQ")),
)  # fmt: skip
