"""Many raters of one study at once, over HTTP: how long each waits from sending a rating until it is told of the next image.

    python tests/load/raters.py --raters 50 --minutes 2

Opens the page on a study in a temporary folder. Each rater loads an image, looks at it for some seconds, sends a rating, and goes on; one
in ten ratings is sent twice, as after a lost connection, and one in twenty raters' steps is a reload. Ends with status 1 where a rating
that was acknowledged is not in the database with its value, or is there twice, and where an answer was no success.
"""

import argparse
import json
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from annotations import open_annotations
from annotations.studies.lifecycle import keep_study
from annotations.studies.study import Study

ROOT = Path(__file__).parent.parent.parent
VIEW = {"screen": [1920, 1080], "window": [1280, 900], "shown": [1024, 768], "ratio": 1}
SIZE = (1024, 768)  # pixels of an image, as in KonIQ-10k


@dataclass
class Took:
    """Milliseconds of each kind of request, the ratings by key that were acknowledged, and how often a connection was lost."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: dict[str, float] = field(default_factory=dict)
    lost: int = 0


def go_through(url: str, number: int, until: float, look: tuple[float, float]) -> Took:
    """What one rater does until it is `until` (monotonic seconds) or there is nothing left. `look`: seconds, from and to."""
    took, rng = Took(), random.Random(number)
    cookie = {"Cookie": f"q-scorer-studio={number:032d}"}
    with httpx.Client(base_url=url, headers=cookie, timeout=60) as http:

        def ask(what: str, path: str, body: dict | None = None) -> httpx.Response:
            start = time.perf_counter()
            for _ in range(5):  # as the page does where a connection is lost
                try:
                    answer = http.post(path, json=body) if body else http.get(path)
                    break
                except httpx.TransportError:
                    took.lost += 1
            took.times[what].append(1000 * (time.perf_counter() - start))
            return answer.raise_for_status()

        time.sleep(rng.uniform(0, look[1]))
        me = {"rater": f"rater {number}"}
        state = ask("enter", "enter", me).json()
        while state["current"] and time.monotonic() < until:
            key = state["current"]["key"]
            ask("image", f"image/{key}")
            time.sleep(rng.uniform(*look))
            body = {"key": key, "value": rng.randint(1, 5), "seconds": 2.0, "view": VIEW}
            state = ask("rating", "rate", body).json()
            took.acknowledged[key] = state["saved"]["value"]
            if rng.random() < 0.1:
                state = ask("rating sent again", "rate", body).json()
            elif rng.random() < 0.05:
                state = ask("enter", "enter", me).json()
    return took


def make_study(folder: Path, images: int, raters: int) -> Study:
    (folder / "images").mkdir()
    for number in range(images):
        Image.effect_noise(SIZE, 10 + number % 60).convert("RGB").save(folder / "images" / f"{number}.jpg", quality=80)
    text = f"study: load\nquestion: How good is it?\nimages: images\nratings_per_image: {raters}\n"
    (folder / "load.yaml").write_text(text)
    open_annotations(folder / "data")
    keep_study(folder / "data", folder / "load.yaml")
    study = Study(folder / "data", "load")
    study.set_state("open")
    return study


def lost(file: Path, acknowledged: dict[str, float]) -> list[str]:
    """The keys of acknowledged ratings that are not kept as they were acknowledged."""
    with closing(sqlite3.connect(file)) as db:
        sql = "SELECT key, value FROM ratings JOIN presentations ON presentations.id = ratings.presentation"
        kept = dict(db.execute(sql))
        twice = db.execute("SELECT count(*) FROM ratings GROUP BY showing HAVING count(*) > 1").fetchall()
        print(json.dumps({"ratings": len(kept), "acknowledged": len(acknowledged), "kept twice": len(twice)}))
    return [key for key, value in acknowledged.items() if kept.get(key) != value] + twice


def processor_time(process: subprocess.Popen) -> float:
    """Seconds, of a process on Linux (proc(5))."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_up(url: str, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            httpx.get(url, timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit("the page did not open")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--images", type=int, default=250)
    parser.add_argument(
        "--look", type=float, nargs=2, default=(1.5, 4.5), help="seconds that a rater looks, from and to"
    )
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/study/load/"
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(given.raters) as pool:
        study = make_study(Path(name), given.images, given.raters)
        command = [sys.executable, "app.py", "--data-dir", f"{name}/data", "--port", str(port)]
        environment = os.environ | {"GRADIO_TEMP_DIR": f"{name}/uploads", "GRADIO_ANALYTICS_ENABLED": "False"}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            wait_until_up(url, process)
            time.sleep(15)  # the model that other visitors would use has been loaded
            until, busy = time.monotonic() + 60 * given.minutes, processor_time(process)
            raters = [pool.submit(go_through, url, number, until, given.look) for number in range(given.raters)]
            took = [one.result() for one in raters]
            busy = processor_time(process) - busy
        finally:
            process.terminate()
            process.wait(120)
        acknowledged = {key: value for one in took for key, value in one.acknowledged.items()}
        missing = lost(study.data_dir / "annotations.db", acknowledged)
    print("| request | number | median | 95th percentile | longest |\n|---|---|---|---|---|")
    for what in ("enter", "image", "rating", "rating sent again"):
        times = [time for one in took for time in one.times[what]]
        slow = statistics.quantiles(times, n=20, method="inclusive")[-1]
        print(f"| {what} | {len(times)} | {statistics.median(times):.0f} ms | {slow:.0f} ms | {max(times):.0f} ms |")
    print(f"the page's processor time: {1000 * busy / len(acknowledged):.0f} ms a rating, with image and all else")
    print(
        f"connections lost: {sum(one.lost for one in took)}; load average:",
        *(f"{load:.1f}" for load in os.getloadavg()),
    )
    if missing:
        raise SystemExit(f"{len(missing)} acknowledged ratings are lost or kept twice")


if __name__ == "__main__":
    main()
