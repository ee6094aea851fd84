"""A backbone of your own, all that model/backbones/contract.py asks of it: `python -m examples.toy_backbone IMAGE...`

It sees nothing of an image but its mean colour. Its weights are random, so its scores mean nothing.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image, ImageStat
from safetensors.torch import load_file, save_file
from torch import nn

from model import load_scorer
from model.backbones.adapting import make_trainable
from model.backbones.contract import Answered, Backbone, Options, Pixels
from model.common.json_files import write_json
from model.common.scale import Scale
from model.loading.opening import KINDS
from model.readouts.levels import score_tokens
from model.readouts.reading import Readout
from model.readouts.regressor import Regressor
from model.readouts.systems import RELEASED_Q_SCORER

WIDTH, TOKENS, END = 8, score_tokens(5), 5


class ToyModel(nn.Module):
    """Three numbers to a hidden state, and to logits over five tokens and an end."""

    def __init__(self):
        super().__init__()
        self.eye, self.words = nn.Linear(3, WIDTH), nn.Embedding(END + 1, WIDTH)
        self.lm_head, self.regressor = nn.Linear(WIDTH, END + 1), Regressor(WIDTH, (4,))
        nn.init.constant_(self.regressor.output.bias, 3.0)  # outside of the scale the loss has no gradient
        self.supports_gradient_checkpointing = False

    @property
    def dtype(self):
        return self.lm_head.weight.dtype


class ToyBackbone(Backbone):
    options = Options(learning_rate=0.03, epochs=20)
    plain_peft = "    load_file(FOLDER / 'adapter_model.safetensors')"

    def __init__(self, model: ToyModel):
        self.model = model.eval()
        self.readout = Readout("score_token", TOKENS, torch.arange(5), Scale(1.0, 5.0), model.regressor)

    @property
    def losses(self):
        return RELEASED_Q_SCORER

    def prepare(self, image: Image.Image) -> Pixels:
        return Pixels(torch.tensor(ImageStat.Stat(image).mean) / 255, length=1)

    def seen(self, batch) -> torch.Tensor:
        return self.model.eye(torch.stack([image.pixels for image in batch]).to(self.dtype))

    @torch.no_grad()
    def ask(self, batch):
        hidden = self.seen(batch)
        return hidden, self.model.lm_head(hidden)

    def answer(self, batch, tokens, questions=None) -> Answered:
        ids = torch.tensor([[TOKENS.index(token), END] for token in tokens])
        seen = self.seen(batch)
        hidden = torch.stack([seen, seen + self.model.words(ids[:, 0])], 1)
        return Answered(hidden, self.model.lm_head(hidden), ids, read_at=0)

    def adapt(self, rank: int) -> int:
        self.model.requires_grad_(False)
        self.model.regressor.requires_grad_(True)
        make_trainable(self.model)
        return rank

    def save_adapter(self, folder: Path, base: str, base_revision: str) -> None:
        save_file(self.model.regressor.state_dict(), folder / "adapter_model.safetensors")
        write_json(folder / "adapter_config.json", {"base_model_name_or_path": base, "revision": base_revision})


def load(spec, device, dtype, trainable=False, progress=None) -> ToyBackbone:
    model = ToyModel()
    model.load_state_dict(load_file(spec.base / "model.safetensors"))
    if spec.adapter:
        model.regressor.load_state_dict(load_file(spec.adapter / "adapter_model.safetensors"))
    return ToyBackbone(model.to(device))


def check_adaptable(spec, dtype) -> None:
    """Every toy can be."""


def write_toy(folder: Path) -> Path:
    folder.mkdir()
    write_json(folder / "config.json", {"model_type": "toy"})
    torch.manual_seed(0)
    save_file(ToyModel().state_dict(), folder / "model.safetensors")
    return folder


if __name__ == "__main__":
    KINDS["toy"] = "examples.toy_backbone"  # in the project: a line in model/loading/opening.py
    with TemporaryDirectory() as folder:
        for result in load_scorer(str(write_toy(Path(folder) / "toy"))).assess_files(sys.argv[1:]):
            print(result)
