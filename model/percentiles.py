"""Write the table by which a score's percentile among reference photographs is told.

    python -m model.percentiles --data BIQ2021

Scores the test part of BIQ2021 (without near-duplicates of training images) with the models that ship, and writes
model/weights/percentiles.json: of each model the revision, and the scores at 0, 1, … 100 %.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from model.common.command_line import run
from model.common.json_files import write_json
from model.datasets import biq2021
from model.evaluation.percentiles import TABLES
from model.loading.known import SHIPPED
from model.scoring.assessment import Failure
from model.scoring.scorer import load_scorer

DATA = "BIQ2021's test part"


def table(name: str, images: list[Path]) -> dict:
    """The percentiles of one model's scores. Ends the program at an image that cannot be read."""
    scorer, scores = load_scorer(name, device="cpu"), []
    for outcome in scorer.assess_files(images):
        if isinstance(outcome, Failure):
            raise SystemExit(f"error: {outcome.image}: {outcome.error}")
        scores.append(outcome.score)
    marks = np.percentile(scores, np.arange(101)).round(4).tolist()
    return {"revision": scorer.revision, "data": DATA, "photographs": len(scores), "percentiles": marks}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.percentiles", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a clone of github.com/nisarahmedrana/BIQ2021")

    def program() -> int:
        images = [item.image for item in biq2021.test_part(parser.parse_args().data)]
        tables = {name: table(name, images) for name in SHIPPED}
        write_json(TABLES, tables)
        print(f"{TABLES}: {len(images)} photographs, {', '.join(tables)}")
        return 0

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
