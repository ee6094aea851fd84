"""What a photograph of 12 megapixels costs before a model sees it, in milliseconds.

    python tests/load/photo.py

Makes the bench's JPEG of 4000 x 3000 and times each stage on one thread: the smallest of 25 repeats, in a process as Python starts it,
and in one whose malloc keeps what is freed (model/common/allocator.py), as nano's loader asks for.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import torch
from PIL import Image

from model.backbones.mplug_owl2.pixels import MplugOwl2Pixels
from model.backbones.nano.network import NanoProcessor, build_tokenizer
from model.bench.measures import seconds
from model.bench.report import write_images
from model.common.allocator import keep_freed_memory
from model.images.decoding import open_image

REPEATS = 25
SIZE = (4000, 3000)


def stages(path: Path) -> dict[str, float]:
    """Milliseconds of each stage."""
    data, image = path.read_bytes(), open_image(path)
    nano, owl = NanoProcessor(build_tokenizer()), MplugOwl2Pixels(448)
    works = {
        "libjpeg decodes": lambda: Image.open(io.BytesIO(data)).load(),
        "`open_image`, whole": lambda: open_image(path),
        "to nano's pixels": lambda: nano.pixels(image),
        "to mPLUG-Owl2's pixels": lambda: owl.pixels(image),
    }
    return {name: round(1000 * min(seconds(work) for _ in range(REPEATS)), 1) for name, work in works.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kept", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--started", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.kept or arguments.started:
        if arguments.kept:
            keep_freed_memory()
        print(json.dumps(stages(arguments.kept or arguments.started)))
        return
    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_images(Path(folder), SIZE, 1)
        columns = [
            json.loads(subprocess.run([sys.executable, __file__, how, path], capture_output=True, check=True).stdout)
            for how in ("--started", "--kept")
        ]
    print("| stage | as started | kept |\n|---|---|---|")
    for name in columns[0]:
        print(f"| {name} | {columns[0][name]:g} | {columns[1][name]:g} |")


if __name__ == "__main__":
    main()
