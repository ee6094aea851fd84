"""The reference fixtures: tiny checkpoints in every published layout, with what the original programs made of them.

Their README.md says how they were made. MPLUG_OWL2_FIXTURES names another folder of such fixtures, of other shapes and seeds.
"""

import json
import os
import shutil
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.layouts import find_layout
from model.backbones.mplug_owl2.loading import load_model

ROOT = Path(__file__).parent.parent.parent
OURS = ROOT / "tests" / "fixtures" / "mplug_owl2"
FIXTURES = Path(os.environ.get("MPLUG_OWL2_FIXTURES", OURS))
QSCORER, QALIGN = FIXTURES / "qscorer_tiny", FIXTURES / "qalign_tiny"
BASE = QSCORER / "base_mplug_owl2"
PROMPT_NAMES = {  # the fixtures' names for task and variant
    "scorer_newline": ("quality", "newline"),
    "evalscript_space": ("quality", "space"),
    "github_score_method_quality_image": ("quality", "github"),
    "aesthetics_image": ("aesthetics", "newline"),
    "github_score_method_aesthetics_image": ("aesthetics", "github"),
    "quality_video": ("video", "newline"),
    "github_score_method_quality_video": ("video", "github"),
}


def common(name: str) -> dict:
    """What a file says that is about the published models, of no shape of the tests': from our set where another one lacks it."""
    return facts((FIXTURES if (FIXTURES / name).is_file() else OURS) / name)


@cache
def facts(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def tensors(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path)


def images(kind: Path) -> list[Image.Image]:
    """The test images, decoded."""
    return [Image.open(path).convert("RGB") for path in image_files(kind)]


def image_files(kind: Path) -> list[Path]:
    """Their files, by number."""
    return sorted((kind / "inputs").glob("image_*"), key=lambda path: int(path.stem.removeprefix("image_")))


def load_bin(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def copied(folder: Path, to: Path) -> Path:
    """A copy that may be changed; under a name that says nothing."""
    return Path(shutil.copytree(folder, to / "folder"))


def backbone_of(folder: Path, base: Path | None = None, **how) -> MplugOwl2Backbone:
    """What a folder of a published layout holds, ready to score; `how` it is loaded."""
    return MplugOwl2Backbone(*load_model(find_layout(folder, base), **how))


def assert_near(found, expected, tolerance: float = 1e-5, relative: float = 0.0) -> None:
    """Tensors or lists agree to `tolerance`, absolute, plus `relative` of what is expected."""
    found, expected = (torch.as_tensor(values, dtype=torch.float64) for values in (found, expected))
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=relative)
