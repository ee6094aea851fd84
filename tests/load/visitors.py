"""What visitors at once cost: peak memory of the server, and how long each waited.

    python tests/load/visitors.py [--visitors 8] [--rounds 3] [--greedy 200] [--rated 400]

Opens the page on a free port of this machine with a data folder of its own. Each visitor scores photographs of 12 megapixels, compares two
models and opens Adapt, `--rounds` times, as a browser does. With --greedy one more visitor queues so many calls first; with --rated so
many rated images are put into the data folder. Prints one JSON object: latencies in seconds (median and 95 %) by action, and memory in MB.
Linux only: memory is read from /proc.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import httpx
from PIL import Image

from annotations import open_annotations
from model.bench.report import write_images

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 300  # seconds for one action
PHOTO = (4000, 3000)


class Visitor:
    """One open page: a session of its own, whose events are sent as the browser sends them."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=PATIENCE)
        self.session = uuid.uuid4().hex
        config = self.http.get("/config").json()
        self.events = config["dependencies"]
        self.components = {part["id"]: part["props"].get("elem_id") for part in config["components"]}

    def event(self, element: str, kind: str, label: str | None = None) -> dict:
        """The first event of this kind on the component with that elem_id."""
        return next(
            event
            for event in self.events
            if any(self.components.get(part) == element and what == kind for part, what in event["targets"])
        )

    def upload(self, path: Path) -> dict:
        with path.open("rb") as file:
            (where,) = self.http.post("/gradio_api/upload", files={"files": (path.name, file)}).json()
        return {"path": where, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}

    def join(self, event: dict, data: list) -> str:
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session}
        answer = self.http.post("/gradio_api/queue/join", json=body)
        answer.raise_for_status()
        return answer.json()["event_id"]

    def finish(self, wanted: set[str]) -> list:
        """Listen until all these events are complete; what the last of them shows."""
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] == "process_completed":
                    wanted.discard(message["event_id"])
                    if not message["success"]:
                        raise RuntimeError(f"an event failed: {message}")
                if not wanted:
                    return message["output"]["data"]

    def do(self, event: dict, data: list) -> float:
        """Send an event, wait for its result; the seconds that it took."""
        start = time.monotonic()
        self.finish({self.join(event, data)})
        return time.monotonic() - start

    def wait_for_chart(self, event: dict) -> float:
        """Look at Adapt until all rated images are scored; the seconds that it took."""
        start = time.monotonic()
        while "Scoring the rated images" in str(self.finish({self.join(event, [False, None])})):
            time.sleep(1)
        return time.monotonic() - start


def visit(url: str, photos: list[Path], rounds: int) -> dict[str, list[float]]:
    """What a person does, again and again; the seconds of each action."""
    visitor = Visitor(url)
    took = defaultdict(list)
    for _ in range(rounds):
        files = [visitor.upload(photo) for photo in photos]
        took["score"].append(visitor.do(visitor.event("score-files", "change"), [files, "quality", None]))
        compare = visitor.event("compare-file", "change")
        took["compare"].append(visitor.do(compare, [files[0], ["nano-qalign"], None]))
        adapt = visitor.event("adapt-revealed", "input")
        took["adapt opens"].append(visitor.do(adapt, [False, None]))
        took["adapt chart"].append(visitor.wait_for_chart(adapt))
    return took


def be_greedy(url: str, photo: Path, calls: int) -> None:
    """Queue so many calls at once, as a program without manners; those that are refused are left out."""
    visitor = Visitor(url)
    file = visitor.upload(photo)
    event = visitor.event("score-files", "change")
    queued = set()
    for _ in range(calls):
        try:
            queued.add(visitor.join(event, [[file], "quality", None]))
        except httpx.HTTPStatusError as error:
            print(f"{len(queued)} calls queued, then: {error.response.json()['detail']}", file=sys.stderr)
            break
    visitor.finish(queued)


def rate(data: Path, count: int) -> None:
    """Put so many rated images into a data folder."""
    annotations = open_annotations(data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.jpg")
        for n in range(count):
            Image.effect_noise((640, 480), 10 + n % 90).convert("RGB").save(path)
            annotations.record_rating("Ada", path.read_bytes(), 1 + n % 5, suffix="jpg")


def memory(process: subprocess.Popen, field: str) -> int:
    """MB of a process: VmRSS now, VmHWM at most so far."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{field}:"))


def wait_until_up(url: str, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            httpx.get(url, timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit("the page did not open")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--visitors", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--greedy", type=int, default=0)
    parser.add_argument("--rated", type=int, default=0)
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.visitors + 1) as pool:
        photos = write_images(Path(folder), PHOTO, 3)
        rate(Path(folder, "data"), given.rated)
        command = [sys.executable, "app.py", "--data-dir", f"{folder}/data", "--port", str(port)]
        environment = os.environ | {"GRADIO_TEMP_DIR": f"{folder}/uploads", "GRADIO_ANALYTICS_ENABLED": "False"}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            wait_until_up(url, process)
            Visitor(url).do(Visitor(url).event("score-files", "change"), [[], "quality", None])
            visit(url, photos[:1], 1)  # the model is loaded
            figures = {"memory_one_visitor": memory(process, "VmHWM")}
            greedy = [pool.submit(be_greedy, url, photos[0], given.greedy)] if given.greedy else []
            if greedy:
                time.sleep(2)
            visitors = [pool.submit(visit, url, photos, given.rounds) for _ in range(given.visitors)]
            took = defaultdict(list)
            for done in visitors:
                for action, seconds in done.result().items():
                    took[action] += seconds
            for done in greedy:
                done.result()
            for action, seconds in took.items():
                figures[action] = {
                    "median": round(statistics.median(seconds), 2),
                    "95 %": round(statistics.quantiles(seconds, n=20, method="inclusive")[-1], 2),
                }
            figures |= {"memory_peak": memory(process, "VmHWM"), "memory_after": memory(process, "VmRSS")}
            print(json.dumps(figures))
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main()
