"""How a VLM is asked and read, and the file that says so: readout.json, in the folder of an adapter or of a model."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from model.common.errors import ModelLoadError
from model.common.scale import Scale
from model.readouts.levels import LEVEL_WORDS, score_tokens

READOUT = "readout.json"
QUESTION = "How would you rate the quality of this image?"
STEM = "The quality of the image is"
# A model of dynamic resolution makes a token of each 28 or 32 pixels square: of a 12-megapixel photograph some 15 000, whose
# attention takes minutes and gigabytes. A megapixel gives 1000 to 1300, and is four times what the other families look at.
MAX_PIXELS = 1024 * 1024


@dataclass(frozen=True)
class VlmReadout:
    """How a VLM is asked and read. kind: "level" or "score_token"; tokens: worst to best; scale: of the score.

    thinking: False tells the chat template to open no chain of thought (templates that know none ignore it); None leaves the
    template's own default. regressor_widths: of a score_token readout's regressor. max_pixels: of an image, for models of dynamic
    resolution; None leaves it to the model's own settings.
    """

    kind: str
    tokens: tuple[str, ...]
    scale: Scale
    question: str = QUESTION
    stem: str = STEM
    thinking: bool | None = None
    regressor_widths: tuple[int, ...] = ()
    max_pixels: int | None = MAX_PIXELS


# Any instruct model, untrained for the task: Q-Align's words and scale.
ZERO_SHOT = VlmReadout("level", LEVEL_WORDS, Scale(1.0, 5.0), thinking=False)
# Q-ReAlign Mini, Lite and Pro: weights 0, .25, .5, .75, 1 from bad to excellent; template and pixels as its authors have them.
Q_REALIGN = VlmReadout("level", LEVEL_WORDS, Scale(0.0, 1.0), max_pixels=None)


def score_token_settings(settings: VlmReadout, count: int, hidden_size: int) -> VlmReadout:
    """Q-Scorer's readout on a VLM that was asked by `settings`: score tokens from worst to best, and the published regressor's widths in
    proportion to the hidden size."""
    widths = (hidden_size // 2, hidden_size // 4)
    return replace(settings, kind="score_token", tokens=score_tokens(count), regressor_widths=widths)


def write_readout(settings: VlmReadout, folder: Path) -> None:
    (folder / READOUT).write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")


def read_readout(folder: Path) -> VlmReadout:
    """The readout in the folder of an adapter or model. Raises ModelLoadError naming the file that is missing or unreadable."""
    path = folder / READOUT
    if not path.is_file():
        raise ModelLoadError(f"{folder} lacks {READOUT}: copy the adapter's whole folder again.")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(settings[name]) for name in ("tokens", "regressor_widths")}
        return VlmReadout(**settings | lists | {"scale": Scale(*settings["scale"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelLoadError(
            f"{path} is not a readout (JSON with kind, tokens, scale, ...): copy the adapter's whole folder again."
        ) from error
