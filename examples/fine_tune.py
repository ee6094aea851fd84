"""Fine-tune from Python on your own labels: `python -m examples.fine_tune IMAGES LABELS.csv OUT`

LABELS.csv has the columns image and mos, on a scale of 1 to 5; OUT is the folder of the new adapter.
"""

import csv
import sys
from pathlib import Path

from model import RatedImage, Scale, fine_tune, load_scorer

images, labels, out = map(Path, sys.argv[1:])
with labels.open(encoding="utf-8", newline="") as lines:
    rated = [
        RatedImage(images / row["image"], float(row["mos"]), std=None, n=1, scale=Scale(1.0, 5.0))
        for row in csv.DictReader(lines)
    ]
card = fine_tune(rated, "nano", out)
print(f"{card.trained} images to train on, {card.held_out} held out")
for name in ("plcc", "srcc", "rmse"):
    print(f"{name}: {card.before[name]:.3f} before, {card.after[name]:.3f} after")
(first,) = load_scorer(f"nano+{out}").assess_files([rated[0].image])
print(f"{first.image} now scores {first.score:.2f}")
