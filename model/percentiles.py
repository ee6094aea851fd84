"""Measure where scores stand among reference photographs, and how wide a range around a score holds people's mean opinion.

    python -m model.percentiles --data BIQ2021

Scores the test part of BIQ2021 (without near-duplicates of training images) with the models that ship, and writes
model/weights/percentiles.json: of each model the revision, the scores at 0, 1, … 100 %, and the range's half width in units of an
assessment's uncertainty, chosen so that the range holds 90 % of the MOS.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from model.common.command_line import run
from model.common.json_files import write_json
from model.datasets import biq2021
from model.datasets.rated import RatedImage
from model.evaluation.percentiles import TABLES, cross_checked, fit_range
from model.loading.known import SHIPPED
from model.scoring.assessment import Failure
from model.scoring.scorer import load_scorer

DATA = "BIQ2021's test part"


def table(name: str, rated: list[RatedImage]) -> dict:
    """One model's table (model/evaluation/percentiles.py: Reference). Ends the program at an image that cannot be read."""
    scorer, scores, ratios = load_scorer(name, device="cpu"), [], []
    for image, outcome in zip(rated, scorer.assess_files([image.image for image in rated]), strict=True):
        if isinstance(outcome, Failure):
            raise SystemExit(f"error: {outcome.image}: {outcome.error}")
        scores.append(outcome.score)
        ratios.append(abs(image.mos - outcome.score) / outcome.uncertainty)
    return {
        "revision": scorer.revision,
        "data": DATA,
        "photographs": len(scores),
        "percentiles": np.percentile(scores, np.arange(101)).round(4).tolist(),
        "uncertainties": round(fit_range(ratios), 4),
        "covered": round(cross_checked(ratios), 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.percentiles", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a clone of github.com/nisarahmedrana/BIQ2021")

    def program() -> int:
        rated = biq2021.test_part(parser.parse_args().data)
        tables = {name: table(name, rated) for name in SHIPPED}
        write_json(TABLES, tables)
        for name, found in tables.items():
            print(
                f"{name}: {found['photographs']} photographs; {found['uncertainties']:.2f} uncertainties on either side hold "
                f"{found['covered']:.1%} of the MOS"
            )
        return 0

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
