"""Images in, assessments out; training. Knows nothing of the interface or of the database.

For Python, this is all that other programs need (examples/ has a program for each use):

    load_scorer(spec, device="auto", dtype="auto", adapters=None, task="quality") -> Scorer
        What SPEC names: a name of `python -m model.registry`, a folder, a hub id, or one of these with an adapter.
    Scorer(image) -> Assessment, Scorer([image, ...]) -> list[Assessment]
        Of a path, a file's bytes, a PIL image or a numpy array.
    Scorer.assess(images) -> list[Assessment]
        Of PIL images. Scorer.assess_files(paths) -> Iterator[Assessment | Failure], lazily and in order.
    fine_tune(rated, spec, out) -> AdapterCard
        An adapter of a model from RatedImages: image, MOS, std, number of ratings, scale.
    Backbone
        What a multimodal LLM has to offer to be scored and trained with: model/backbones/contract.py.

Nothing heavy is imported until one of these is used.
"""

import logging
from importlib import import_module

from model.common import threads

threads.set_up()  # before torch is imported

# PEFT imports bitsandbytes wherever it is installed, and that then advises on packages and dtypes nobody here chose: a missing `kernels`
# on processors with AVX512-BF16, float16 at every layer.
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
