"""A system: tokens, label, readout, losses; the proportions by which losses are weighed; and the recipes of fine-tuning. Plain data.

The paper's systems (model/paper/systems.py) are made of the same parts, so the reproduction on nano and fine-tuning share them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from model.common.errors import DataError
from model.readouts.levels import LEVEL_WORDS, score_tokens

PAPER_HIDDEN_SIZE = 4096
RELEASED_WEIGHT = 0.05
RELEASED_Q_SCORER = {"cross_entropy": RELEASED_WEIGHT, "clamped_squared_error": RELEASED_WEIGHT}
RELEASED_Q_ALIGN = {"cross_entropy": 1.0}
Label = Literal["interval", "soft", "word_then_token", "digits", "comparison", "none"]
Readout = Literal["regressed", "weighted", "digits", "comparison"]

# The one rule by which losses are weighed, for all systems: each has the weight, beside the cross-entropy of the answer, that the program
# which introduces it gives it; where no program does, the paper's; where neither says, the cross-entropy's own.
PROPORTIONS = {
    "cross_entropy": 1.0,
    "cross_entropy_but_token": 1.0,
    "squared_error": 1.0,  # Q-Scorer's program: .05 (cross-entropy + squared error); paper eqs. 10 and 11
    "soft_label_divergence": 1.0,  # DeQA-Score's training script: .05 (cross-entropy + divergence) for each image of a pair
    "unit_fidelity": 10.0,  # and 1 for the pair's fidelity, so that to the two images' .1 it is 10 to 1
    "fidelity": 10.0,
    "norm_in_norm": 0.5,  # paper appendix C.2
    "ranking": 1.0,  # no weight is published
    "token_mass": 1.0,  # proposed in paper appendix D.1, without a weight
    "calibration": 1.0,  # ours
}


def weighed(*names: str, **others: float) -> dict[str, float]:
    """Weights of losses by PROPORTIONS, the largest 1. others: proportions that depart from the rule."""
    proportions = {name: PROPORTIONS[name] for name in names} | others
    return {name: value / max(proportions.values()) for name, value in proportions.items()}


Q_SCORER = ("cross_entropy", "squared_error")


@dataclass(frozen=True)
class System:
    """One way to teach a backbone to score.

    tokens: worst to best, of the position that is read. label, what is taught there: the token of the MOS's interval ("interval"); the
    same, by DeQA-Score's soft label ("soft"); a level word, and after it the token ("word_then_token"); the number ("digits"); the first
    image against the second ("comparison"); nothing ("none"). readout: the score is regressed from the hidden state, the tokens' weighted
    sum, the number that is written, or found from comparisons with anchors. widths: of the regressor, at the paper's hidden size (see
    `widths_at`); hyper_units: of the hyper network that takes its place. variance of the score: "head" (a second output), "tokens" (of
    their distribution) or "" (none). losses: weights by the names in model/readouts/objective.py.
    """

    name: str
    tokens: tuple[str, ...] = score_tokens(5)
    label: Label = "interval"
    readout: Readout = "regressed"
    widths: tuple[int, ...] = (2048, 1024)
    hyper_units: int = 0
    variance: Literal["head", "tokens", ""] = ""
    losses: Mapping[str, float] = field(default_factory=lambda: weighed(*Q_SCORER))

    def widths_at(self, hidden_size: int) -> tuple[int, ...]:
        """The regressor's widths in the same proportion to another hidden size: 2048, 1024 of 4096 is 128, 64 of 256."""
        return tuple(width * hidden_size // PAPER_HIDDEN_SIZE for width in self.widths)


DEQA_LOSSES = weighed("cross_entropy_but_token", "soft_label_divergence", "unit_fidelity")

# What --recipe chooses: as the released programs have it, and Q-Scorer with one token.
RECIPES = {
    "qscorer": System("qscorer", losses=RELEASED_Q_SCORER),
    "qscorer-1": System("qscorer-1", score_tokens(1), losses=RELEASED_Q_SCORER),
    "qalign": System("qalign", LEVEL_WORDS, readout="weighted", losses=RELEASED_Q_ALIGN),
    "deqa": System("deqa", LEVEL_WORDS, "soft", "weighted", losses=DEQA_LOSSES),
}
# What --add adds to a recipe: losses, by the names in model/readouts/objective.py, as the paper's table 6 and appendix D.1 do.
ADDED_LOSSES = {
    "kl": "soft_label_divergence",
    "norm": "norm_in_norm",
    "ranking": "ranking",
    "fidelity": "fidelity",
    "token-mass": "token_mass",
}
HYPER = {"hyper64": 64}  # a hyper network in the regressor's place, of so many units


def recipe(name: str, added: Sequence[str] = ()) -> System:
    """A recipe with additions. An added loss is weighed by PROPORTIONS beside the recipe's cross-entropy. Raises DataError for an unknown
    name, and for an addition that the recipe has no place for."""
    if name not in RECIPES:
        raise DataError(f"there is no recipe '{name}': choose one of {', '.join(RECIPES)}.")
    system = RECIPES[name]
    losses, answer = dict(system.losses), next(value for key, value in system.losses.items() if "cross_entropy" in key)
    for word in added:
        if word in HYPER and system.readout == "regressed":
            system = replace(system, hyper_units=HYPER[word])
        elif word in ADDED_LOSSES and ADDED_LOSSES[word] not in losses:
            losses[ADDED_LOSSES[word]] = answer * PROPORTIONS[ADDED_LOSSES[word]]
        elif word in HYPER or word in ADDED_LOSSES:
            raise DataError(f"the recipe '{name}' does not take --add {word}: leave it out.")
        else:
            raise DataError(f"--add {word} is not known: choose some of {', '.join([*ADDED_LOSSES, *HYPER])}.")
    return replace(system, name="+".join([name, *added]), losses=losses)
