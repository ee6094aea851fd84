"""ZeroGPU of Hugging Face Spaces: the one function in which models compute there, and what the platform refuses as a sentence.

A GPU exists only inside that function, in a process forked from the page's: arguments and results are pickled, and what it changes is lost.
Models are loaded on `cuda` before, in the main thread, where the package `spaces` plays a GPU until it moves the weights to a real one.
Elsewhere nothing here is used. Import this before anything that starts CUDA."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import gradio as gr
import httpx
import numpy as np

from app.settings import ZERO_GPU
from model.common.errors import ModelError

if TYPE_CHECKING:
    from model.scoring.assessment import Assessment
    from model.scoring.scorer import Scorer

# Seconds to ask for: estimates, on the safe side. What is asked for counts against the visitor's quota, and a longer call is ended.
START, PER_GIGABYTE = 5, 1  # of a process, and of its weights to the GPU
IMAGE, IMAGE_PER_GIGABYTE = 0.1, 0.03

_scorers: dict[str, "Scorer"] = {}  # by SPEC; the forked process finds them here
_gigabytes: dict[str, float] = {}


class NoGpu(ModelError):
    """The platform gave no GPU, or took it back."""


def keep(spec: str, scorer: "Scorer") -> None:
    """Let a loaded scorer compute on ZeroGPU from now on. Call it before `report_start`."""
    state = scorer.backbone.model.state_dict()
    _gigabytes[spec] = sum(tensor.nbytes for tensor in state.values()) / 1e9
    _scorers[spec] = scorer

    def elsewhere(asking: "Scorer", prepared: Sequence, names: Sequence[str], batch_size: int) -> "list[Assessment]":
        return _scored(spec, asking.task, prepared, names, batch_size)

    scorer.elsewhere = elsewhere


def report_start() -> None:
    """Tell the platform that the page is up; it stops a Space that does not. Gradio's launch() would do so, which is not used here."""
    if ZERO_GPU:
        spaces.zero.startup()


def seconds(spec: str, task: str, prepared: list, names: Sequence[str], batch_size: int, frames: int) -> int:
    """How long the call with these arguments may take; `frames`: images, and frames of videos."""
    size = _gigabytes[spec]
    return round(START + PER_GIGABYTE * size + frames * (IMAGE + IMAGE_PER_GIGABYTE * size))


def on_gpu(
    spec: str, task: str, prepared: list, names: Sequence[str], batch_size: int, frames: int
) -> "list[Assessment] | ModelError":
    """What the scorer that `keep` was given makes of prepared images, arrays in the place of tensors; an error is returned, since raised it
    would lose its kind."""
    import torch

    torch.set_num_threads(
        1
    )  # OpenMP's threads of the page's process do not exist in this one, and it would wait for them
    tensors = [_each(image, np.ndarray, torch.from_numpy) for image in prepared]
    try:
        return _scorers[spec].asking(task).assess_here(tensors, names, batch_size)
    except ModelError as error:
        return error


if ZERO_GPU:
    import spaces

    on_gpu = spaces.GPU(duration=seconds)(on_gpu)


def _scored(spec: str, task: str, prepared: Sequence, names: Sequence[str], batch_size: int) -> "list[Assessment]":
    """`on_gpu` of prepared images. Raises ModelError."""
    import torch

    frames = sum(map(_frames, prepared))
    # Tensors would travel through shared memory, of which a container has little.
    arrays = [_each(image, torch.Tensor, torch.Tensor.numpy) for image in prepared]
    try:
        outcome = on_gpu(spec, task, arrays, list(names), batch_size, frames)
    except gr.Error as error:
        raise NoGpu(_sentence(error)) from error
    except (
        RuntimeError,
        OSError,
        httpx.HTTPError,
    ) as error:  # of the platform's scheduler, or of a fork that the system refuses
        raise NoGpu("The Space could not get a GPU just now: try again in a minute.") from error
    if isinstance(outcome, ModelError):
        raise outcome
    return outcome


def _each(part: Any, kind: type, convert: Callable) -> Any:
    """A prepared image with what it holds of one kind converted."""
    if isinstance(part, kind):
        return convert(part)
    if isinstance(part, dict):
        return {name: _each(value, kind, convert) for name, value in part.items()}
    if hasattr(part, "__dataclass_fields__"):
        return replace(part, **{f.name: _each(getattr(part, f.name), kind, convert) for f in fields(part)})
    return part


def _frames(prepared: Any) -> int:
    pixels = getattr(prepared, "pixels", None)
    return len(pixels) if pixels is not None and pixels.ndim == 4 else 1


def _sentence(error: gr.Error) -> str:
    """What the package says, as the page says things."""
    said = " ".join(str(error.message).split()).rstrip(".")
    if said == "GPU task aborted":
        return "The GPU was taken back before the scores were there: score fewer images at once, or try again."
    if error.title == "ZeroGPU worker error":
        return f"The GPU could not score it ({said}): try again, or choose another model."
    return f"There is no GPU for this now. {said}."
