"""How long a rater of a large study waits for the next image, and for a rating to be kept.

    python tests/load/next_image.py --images 100000 --ratings 1000000

Makes a study in a temporary folder whose images are rows without files, gives each image its ratings by raters of the past, then lets
one rater rate and prints the median, the 95th percentile and the longest time of both steps, and the median of the processor's time,
which other programs on the machine change less.
"""

import argparse
import statistics
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from annotations import database, open_annotations
from annotations.studies.lifecycle import keep_study
from annotations.studies.places import count_places
from annotations.studies.study import Study

DEFINITION = "study: large\nquestion: How good is it?\nimages: first.jpg\nratings_per_image: 15\n"


def fill(folder: Path, images: int, ratings: int) -> None:
    """Rows for images and for ratings of them, each rater rating 400 images or as few more as needed."""
    (folder / "first.jpg").write_bytes(b"first")
    (folder / "large.yaml").write_text(DEFINITION)
    open_annotations(folder / "data")
    keep_study(folder / "data", folder / "large.yaml")
    Study(folder / "data", "large").set_state("open")
    names = [sha256(b"%d" % number).hexdigest() for number in range(images)]
    with database.writing(folder / "data" / database.FILE_NAME) as db:
        many = db.conn.executemany
        many("INSERT INTO images VALUES (?, 'jpg', 5, '', NULL)", ((name,) for name in names))
        many(
            "INSERT INTO study_images (version, position, image) VALUES (2, ?, ?)",
            ((number, name) for number, name in enumerate(names, 2)),
        )
        raters = max(ratings // 400, ratings // images + 1)
        many("INSERT INTO raters (name, name_key, created_at) VALUES (?1, ?1, '')", ((f"r{n}",) for n in range(raters)))
        shown = (
            (n, f"the key of rating {n}", names[n % images], 1 + n // (ratings // raters + 1))
            for n in range(1, ratings + 1)
        )
        many(
            "INSERT INTO presentations (id, key, study, version, image, rater, position, kind, seen, created_at) "
            "VALUES (?, ?, 2, 2, ?, ?, 1, 'test', 'nothing', '')",
            shown,
        )
        db.execute(
            "INSERT INTO ratings (presentation, showing, image, rater, seen, value, created_at) "
            "SELECT id, id, image, rater, 'nothing', 3, '' FROM presentations"
        )
        count_places(db, 2, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=300, help="how many images the rater rates")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), arguments.images, arguments.ratings)
        study, times = Study(Path(name) / "data", "large"), {"next image": [], "rating": []}
        for _ in range(arguments.rate):
            start, busy = time.perf_counter(), time.process_time()
            showing = study.show_next("the rater", browser="one")
            shown, busy_shown = time.perf_counter(), time.process_time()
            study.rate(showing.key, 4, browser="one")
            times["next image"].append((shown - start, busy_shown - busy))
            times["rating"].append((time.perf_counter() - shown, time.process_time() - busy_shown))
    print("| step | median | 95th percentile | longest | median of processor time |\n|---|---|---|---|---|")
    for step, pairs in times.items():
        waited, busy = zip(*pairs, strict=True)
        figures = (
            statistics.median(waited),
            statistics.quantiles(waited, n=20)[-1],
            max(waited),
            statistics.median(busy),
        )
        print(f"| {step} | " + " | ".join(f"{1000 * figure:.1f} ms" for figure in figures) + " |")


if __name__ == "__main__":
    main()
