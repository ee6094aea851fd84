"""Third-party quality metrics of the package pyiqa, for comparison: `python -m model.evaluate --model pyiqa:NAME`.

pyiqa (github.com/chaofengc/IQA-PyTorch) is not part of this project and imported only on request. It depends on torchvision and much
else, downloads a metric's weights on first use, and forbids commercial use: PolyForm Noncommercial 1.0.0, with parts under the NTU S-Lab
licence (earlier releases: CC BY-NC-SA 4.0). The names, calls and directions below are those of release 0.1.16; no metric was run, since no
weights were available.
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

# The metrics of the paper's table 2 by pyiqa's names, and whether lower is better.
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
)  # raised by metrics, for example for an image smaller than a kernel
LICENCE = "its licence forbids commercial use"


@dataclass(frozen=True)
class PyiqaScore:
    """One image's value, with its sign changed if lower is better."""

    score: float


class PyiqaScorer:
    """A pyiqa metric with a scorer's interface: assess_files yields scores, higher is better, without a scale."""

    readout, scale = "pyiqa", None

    def __init__(self, name: str, metric, sign: float, revision: str, device: torch.device):
        self.name, self.metric, self.sign, self.revision, self.device = f"pyiqa:{name}", metric, sign, revision, device

    def assess_files(self, paths: Iterable[str | Path], batch_size: int = 1) -> Iterator[PyiqaScore | Failure]:
        """Measure image files one by one at their own size; batch_size is ignored. A file that cannot be read, or that the metric rejects,
        yields a Failure, and the others are still measured."""
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
            return Failure(path, f"{self.name} returned {value:g}")
        return PyiqaScore(self.sign * value)

    @torch.inference_mode()
    def _value(self, image: Image) -> float:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0).float() / 255  # [1, 3, H, W] in 0..1
        return float(self.metric(pixels.to(self.device)))


def find_metric(name: str) -> tuple[ModuleType, str]:
    """The installed pyiqa, and its spelling of the metric `name`; no weights are loaded. Raises ModelLoadError when pyiqa is not installed
    or has no such metric."""
    name = SPELLINGS.get(name.lower(), name.lower())
    try:
        import pyiqa
    except ImportError as error:
        raise ModelLoadError(
            f"pyiqa:{name} needs the package pyiqa, which is not installed ({first_line(error)}): pip install pyiqa; note that {LICENCE}."
        ) from error
    known = pyiqa.list_models()
    if name not in known:
        raise ModelLoadError(f"pyiqa has no metric '{name}': try one of {', '.join(LOWER_IS_BETTER)}.")
    return pyiqa, name


def load_pyiqa(name: str, device: torch.device) -> PyiqaScorer:
    """The installed pyiqa's metric `name`, such as niqe, in the paper's spelling or pyiqa's.

    Raises ModelLoadError as find_metric does, and when the metric cannot be loaded, needs a reference image, or has another direction than
    LOWER_IS_BETTER states.
    """
    pyiqa, name = find_metric(name)
    try:
        metric = pyiqa.create_metric(name, device=device)
    except Exception as error:  # downloads and a hundred metrics' code may raise anything
        raise ModelLoadError(f"pyiqa could not load {name}: {first_line(error)}.") from error
    if getattr(metric, "metric_mode", "NR") != "NR":
        raise ModelLoadError(f"pyiqa's {name} needs a reference image: choose another metric.")
    if LOWER_IS_BETTER.get(name, metric.lower_better) != metric.lower_better:
        raise ModelLoadError(
            f"this version of pyiqa says that {'lower' if metric.lower_better else 'higher'} is better for {name}, which is wrong: "
            "install another version."
        )
    return PyiqaScorer(name, metric, -1.0 if metric.lower_better else 1.0, pyiqa.__version__, device)
