"""Simulated raters: how far ratings of some images bring a frozen model's scores to the MOS of the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.evaluation.metrics import plcc, rmse, srcc
from model.finetuning.correcting import Answers, left_out
from model.finetuning.gate import judge
from model.readouts.correction import fit_correction
from model.readouts.levels import ASSUMED_STD


@dataclass(frozen=True)
class Labelled:
    """What a frozen model answers for N images, their MOS [N] and the standard deviation of one rating of each [N], on one scale."""

    answers: Answers
    mos: torch.Tensor
    std: torch.Tensor

    def figures(self, scores: torch.Tensor, rows: Sequence[int] | slice = slice(None)) -> tuple[float, float, float]:
        """SRCC, PLCC and RMSE of scores against the MOS of `rows`."""
        pair = scores.numpy(), self.mos[rows].numpy()
        return srcc(*pair), plcc(*pair), rmse(*pair)


def labelled(rated: Sequence[RatedImage], answers: Answers, scale: Scale) -> Labelled:
    records = [record.on(scale) for record in rated]
    usual = ASSUMED_STD * scale.width
    mos, std = ([r.mos for r in records], [usual if r.std is None else r.std for r in records])
    return Labelled(answers, torch.tensor(mos), torch.tensor(std))


def simulate(
    known: Labelled, anchors: Labelled | None, scale: Scale, count: int, raters: int, rung: str, seed: int
) -> list[float]:
    """One draw: `raters` rate `count` images, a correction is learned from their mean ratings and scores the other images. Returns SRCC,
    PLCC and RMSE on these, the SRCC on the anchors (NaN without), and 1 or 0: whether the gate found the correction better."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(known.mos))
    rated, others = order[:count], order[count:]
    noise = torch.from_numpy(random.normal(size=(count, raters)).mean(1)).to(known.mos)
    opinions, equal = (known.mos[rated] + known.std[rated] * noise).clamp(*scale), torch.ones(count)
    seen = known.answers.of(rated)
    correction = fit_correction(seen.scores, seen.features, opinions, equal, rung == "head")
    after = left_out(seen, opinions, equal, rung == "head").clamp(*scale)
    better, _ = judge(opinions.numpy(), seen.corrected.numpy(), after.numpy(), "the model")

    def corrected(answers: Answers) -> torch.Tensor:
        return correction(answers.scores, answers.features).clamp(*scale)

    figures = known.figures(corrected(known.answers.of(others)), others)
    kept = anchors.figures(corrected(anchors.answers))[0] if anchors else float("nan")
    return [*figures, kept, float(better)]
