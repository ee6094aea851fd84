"""Other people's quality metrics through the package pyiqa, for comparison: `python -m model.evaluate --model pyiqa:NAME`.

pyiqa (github.com/chaofengc/IQA-PyTorch) is no part of this project, and nothing here imports it unless it is asked for. It brings
torchvision and much else, fetches a metric's weights from the network when the metric is first used, and is licensed under PolyForm
Noncommercial 1.0.0 with parts under the NTU S-Lab licence (earlier releases: CC BY-NC-SA 4.0): no commercial use. The names, calls and
directions below were read in release 0.1.16; no metric was run, since no weights were at hand.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL.Image import Image

from model.common.errors import ImageError, ModelLoadError, first_line
from model.common.memory import is_out_of_memory
from model.images.decoding import open_image
from model.scoring.assessment import Failure

# The metrics of the paper's table 2 by pyiqa's names, and whether a lower value is better.
LOWER_IS_BETTER = {
    "niqe": True,
    "brisque": True,
    "nima": False,
    "hyperiqa": False,
    "dbcnn": False,
    "musiq": False,
    "clipiqa+": False,
    "maniqa": False,
}
SPELLINGS = {"clip-iqa+": "clipiqa+", "db-cnn": "dbcnn"}
REJECTIONS = (
    RuntimeError,
    ValueError,
    AssertionError,
    IndexError,
    MemoryError,
)  # as of an image that is smaller than a kernel
LICENCE = "its licence forbids commercial use"


@dataclass(frozen=True)
class PyiqaScore:
    """One image's value, turned so that higher is better."""

    score: float


class PyiqaScorer:
    """A pyiqa metric with a scorer's face: assess_files gives scores of which the higher is better, on no scale of ours."""

    readout, scale = "pyiqa", None

    def __init__(self, name: str, metric, sign: float, revision: str, device: torch.device):
        self.name, self.metric, self.sign, self.revision, self.device = f"pyiqa:{name}", metric, sign, revision, device

    def assess_files(self, paths: Iterable[str | Path], batch_size: int = 1) -> Iterator[PyiqaScore | Failure]:
        """Measure image files one after the other at their own size, whatever batch_size says; a file that cannot be read, or that
        the metric rejects, gives a Failure and the rest goes on."""
        for path in paths:
            try:
                image = open_image(path)
            except ImageError as error:
                yield Failure(str(path), str(error))
            else:
                yield self._measured(str(path), image)

    def _measured(self, path: str, image: Image) -> PyiqaScore | Failure:
        try:
            value = self._value(image)
        except REJECTIONS as error:
            if is_out_of_memory(error):
                size, remedy = "{} x {}".format(*image.size), "make it smaller, or choose another --device"
                return Failure(path, f"{self.name} has too little memory for an image of {size}: {remedy}")
            return Failure(path, f"{self.name} cannot measure it: {first_line(error)}")
        if not math.isfinite(value):
            return Failure(path, f"{self.name} gives {value:g}, which is no score")
        return PyiqaScore(self.sign * value)

    @torch.inference_mode()
    def _value(self, image: Image) -> float:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0).float() / 255  # [1, 3, H, W] in 0..1
        return float(self.metric(pixels.to(self.device)))


def find_metric(name: str) -> tuple[ModuleType, str]:
    """The installed pyiqa, and its spelling of the metric `name`; no weights are loaded. Raises ModelLoadError, in one sentence, where
    pyiqa is not installed or has no such metric."""
    name = SPELLINGS.get(name.lower(), name.lower())
    try:
        import pyiqa
    except ImportError as error:
        raise ModelLoadError(
            f"pyiqa:{name} needs the package pyiqa, which is not installed ({first_line(error)}): pip install pyiqa, and mind that "
            f"{LICENCE}."
        ) from error
    known = pyiqa.list_models()
    if name not in known:
        raise ModelLoadError(f"pyiqa has no metric '{name}': try one of {', '.join(LOWER_IS_BETTER)}.")
    return pyiqa, name


def load_pyiqa(name: str, device: torch.device) -> PyiqaScorer:
    """The installed pyiqa's metric `name`, such as niqe, in the paper's spelling or pyiqa's.

    Raises ModelLoadError, in one sentence, as find_metric does, and where the metric cannot be loaded, needs a reference image or
    points another way than is known of it.
    """
    pyiqa, name = find_metric(name)
    try:
        metric = pyiqa.create_metric(name, device=device)
    except Exception as error:  # whatever a download or a hundred metrics' code may raise
        raise ModelLoadError(f"pyiqa could not load {name}: {first_line(error)}.") from error
    if getattr(metric, "metric_mode", "NR") != "NR":
        raise ModelLoadError(f"pyiqa's {name} compares with a reference image, and there is none: take another metric.")
    if LOWER_IS_BETTER.get(name, metric.lower_better) != metric.lower_better:
        raise ModelLoadError(
            f"pyiqa says that {'lower' if metric.lower_better else 'higher'} is better for {name}, and the opposite is known of it: "
            "this version of pyiqa needs a look before its figures are believed."
        )
    return PyiqaScorer(name, metric, -1.0 if metric.lower_better else 1.0, pyiqa.__version__, device)
