"""Prompt and readout of a VLM, and the file that stores them: readout.json, in the folder of an adapter or of a model."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from model.common.errors import ModelLoadError
from model.common.json_files import read_json, write_json
from model.common.scale import Scale
from model.readouts.levels import LEVEL_WORDS

READOUT = "readout.json"
QUESTION = "How would you rate the quality of this image?"
STEM = "The quality of the image is"
# A model of dynamic resolution makes one token of each square of 28 or 32 pixels: about 15 000 of a 12-megapixel photograph, which takes
# minutes and gigabytes. A megapixel makes 1000 to 1300, and is four times the resolution of other families.
MAX_PIXELS = 1024 * 1024


@dataclass(frozen=True)
class VlmReadout:
    """Prompt and readout of a VLM. kind: "level" or "score_token"; tokens: worst to best; scale: of the score.

    thinking: passed to the chat template as enable_thinking, which templates without it ignore; None: the template's default.
    regressor_widths: of a score_token readout; hyper_units: of a hyper network in the regressor's place.
    max_pixels: of an image, for models of dynamic resolution; None: the model's own limit.
    """

    kind: Literal["score_token", "level"]
    tokens: tuple[str, ...]
    scale: Scale
    question: str = QUESTION
    stem: str = STEM
    thinking: bool | None = None
    regressor_widths: tuple[int, ...] = ()
    max_pixels: int | None = MAX_PIXELS
    hyper_units: int = 0


# Any instruct model that was not trained for the task: Q-Align's words and scale.
ZERO_SHOT = VlmReadout("level", LEVEL_WORDS, Scale(1.0, 5.0), thinking=False)
# Q-ReAlign Mini, Lite and Pro: level values 0, .25, .5, .75, 1 from bad to excellent; template and resolution are its authors'.
Q_REALIGN = VlmReadout("level", LEVEL_WORDS, Scale(0.0, 1.0), max_pixels=None)


def score_token_settings(
    settings: VlmReadout, tokens: tuple[str, ...], hidden_size: int, hyper_units: int = 0
) -> VlmReadout:
    """Q-Scorer's readout on a VLM with the prompt of `settings`: score tokens from worst to best, and the published regressor's widths,
    scaled to the hidden size."""
    widths = (hidden_size // 2, hidden_size // 4)
    return replace(settings, kind="score_token", tokens=tokens, regressor_widths=widths, hyper_units=hyper_units)


def write_readout(settings: VlmReadout, folder: Path) -> None:
    write_json(folder / READOUT, asdict(settings))


def read_readout(folder: Path) -> VlmReadout:
    """The readout in the folder of an adapter or model. Raises ModelLoadError when the file is missing or invalid."""
    settings = read_json(folder / READOUT)
    try:
        lists = {name: tuple(settings[name]) for name in ("tokens", "regressor_widths")}
        return VlmReadout(**settings | lists | {"scale": Scale(*settings["scale"])})
    except (TypeError, KeyError) as error:
        raise ModelLoadError(
            f"{folder / READOUT} is not a readout (JSON with kind, tokens, scale, ...): copy the adapter's whole folder again."
        ) from error
