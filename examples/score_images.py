"""Score images from Python: `python -m examples.score_images IMAGE...`"""

import sys

from model import Failure, load_scorer

scorer = load_scorer("nano")
for result in scorer.assess_files(sys.argv[1:]):
    if isinstance(result, Failure):
        print(f"{result.image}: {result.error}")
    else:
        print(
            f"{result.image}: {result.score:.2f} ± {result.uncertainty:.2f} on {result.scale.low:g} to {result.scale.high:g}"
        )
