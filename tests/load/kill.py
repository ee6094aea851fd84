"""Whether ratings outlive their program: kills it (SIGKILL) in the midst of rating a study, again and again.

    python tests/load/kill.py --times 200

Each process goes on for a rater where the one before was killed, and acknowledges each rating on a pipe once it is kept. After each kill
the database must be sound and hold every rating that was acknowledged, once; and the rater's next process must go on.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from annotations import open_annotations
from annotations.studies.lifecycle import keep_study
from annotations.studies.study import Study

RATERS = 10


def rate(study: Study, rater: str, pipe: int) -> None:
    """Rates until it is killed, and says of each rating what was kept."""
    showings = study.show_two(rater, browser=rater)
    while showings:
        key = showings[0].key
        _, kept, showings = study.answer(key, random.randint(1, 5), lambda given: None, browser=rater, seconds=1.0)
        os.write(pipe, b"%s %d\n" % (key.encode(), kept.value))


def rate_and_kill(study: Study, rater: str, most: float) -> dict[str, float]:
    """The ratings, by key, that one process acknowledged before it was killed, `most` seconds after its first at the latest."""
    read, write = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=rate, args=(study, rater, write))
    process.start()
    os.close(write)
    said = os.read(read, 65536)  # waits for the first rating
    time.sleep(random.uniform(0, most))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while more := os.read(read, 65536):
        said += more
    os.close(read)
    lines = said.decode().splitlines(keepends=True)
    return {key: float(value) for key, value in (line.split() for line in lines if line.endswith("\n"))}


def check(file: Path, acknowledged: dict[str, float]) -> int:
    """How many ratings there are. Ends the program where one is lost or changed, or the database is not sound."""
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute(
            "SELECT key, value FROM ratings JOIN presentations ON presentations.id = presentation"
        ).fetchall()
        sound = db.execute("PRAGMA integrity_check").fetchone()[0], db.execute("PRAGMA foreign_key_check").fetchone()
    lost = [key for key, value in acknowledged.items() if dict(rows).get(key) != value]
    if lost or sound != ("ok", None) or len(rows) != len(dict(rows)):
        raise SystemExit(f"{len(lost)} of {len(acknowledged)} acknowledged ratings are lost; the database: {sound}")
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument(
        "--most", type=float, default=0.3, help="seconds between the first rating and the kill, at most"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        for number in range(max(50, 10 * given.times)):
            (folder / "images" / f"{number}.jpg").write_bytes(b"image %d" % number)
        (folder / "study.yaml").write_text(
            f"study: one\nquestion: How good?\nimages: images\nratings_per_image: {RATERS}\n"
        )
        open_annotations(folder / "data")
        keep_study(folder / "data", folder / "study.yaml")
        study, acknowledged, ratings = Study(folder / "data", "one"), {}, 0
        study.set_state("open")
        for n in range(given.times):
            acknowledged |= rate_and_kill(study, f"rater {n % RATERS}", given.most)
            ratings = check(folder / "data" / "annotations.db", acknowledged)
    print(f"{given.times} kills: all of {len(acknowledged)} acknowledged ratings are kept, {ratings} ratings in all")


if __name__ == "__main__":
    main()
