"""Images in, assessments out; training. Knows nothing of the interface or of the database.

The public interface for Python (examples/ has a program for each use):

    load_scorer(spec, device="auto", dtype="auto", adapters=None, task="quality") -> Scorer
        spec: a name listed by `python -m model.registry`, a folder or a hub id, optionally with an adapter.
    Scorer(image) -> Assessment, Scorer([image, ...]) -> list[Assessment]
        Of a path, a file's bytes, a PIL image or a numpy array.
    Scorer.assess(images) -> list[Assessment]
        For PIL images. Scorer.assess_files(paths) -> Iterator[Assessment | Failure], lazily and in order.
    fine_tune(rated, spec, out) -> AdapterCard
        Trains an adapter on RatedImages: image, MOS, std, number of ratings, scale.
    Backbone
        The interface that a multimodal LLM must implement: model/backbones/contract.py.

Heavy packages are imported on first use.
"""

import logging
from importlib import import_module

from model.common import threads

threads.set_up()  # before torch is imported

# PEFT imports bitsandbytes if it is installed, which then prints irrelevant advice: to install `kernels` on some processors, and
# about float16 at every layer.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

_PLACES = {
    "Assessment": "model.scoring.assessment",
    "Backbone": "model.backbones.contract",
    "DataError": "model.common.errors",
    "Failure": "model.scoring.assessment",
    "ImageError": "model.common.errors",
    "ModelError": "model.common.errors",
    "RatedImage": "model.datasets.rated",
    "Scale": "model.common.scale",
    "Scorer": "model.scoring.scorer",
    "fine_tune": "model.finetuning.procedure",
    "load_scorer": "model.scoring.scorer",
}
__all__ = sorted(_PLACES)


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module 'model' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
