"""mPLUG-Owl2 seen by fine-tuning: Q-Scorer and its published LoRA, OneAlign and other level models, and the untrained base.

What moves: low-rank updates of the LLM's q_proj and of v_proj for image rows, which all published LoRAs adapt; with score tokens also their
rows of lm_head and the regressor. Vision encoder and abstractor stay as they are, so each picture goes through them once. The model
is asked as in scoring, not by the longer prompt of its original training: what is trained is what will be read.

A level model goes on in level words. The base (mplug-owl2-llama2-7b), which was taught neither, learns Q-Scorer's five tokens. An adapter
is written in the layout of model.convert: LoRA, and beside it all else in which it differs from the base.
"""

import gc
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from model.adapter import check_belongs, save_peft, wrap
from model.backbones.mplug_owl2 import DeepMLP, MplugOwl2Model
from model.backbones.mplug_owl2_loading import attach_lora, load_model
from model.backbones.mplug_owl2_processor import MplugOwl2Processor
from model.backbones.mplug_owl2_scoring import SCORE_SCALE, MplugOwl2Backbone
from model.convert import difference
from model.errors import ModelLoadError
from model.json_files import write_json
from model.labels import interval_index, score_tokens
from model.layouts import BASE, CONFIG, CONVERTED, IGNORED, NON_LORA, Layout, find_layout, fingerprint
from model.loading import load_mplug_owl2
from model.losses import answer_cross_entropy, regression_loss
from model.registry import Spec
from model.scorer import read
from model.tuning import LARGE_MODELS, Encoded, make_ready

ADAPTED = re.compile(r"model\.layers\.\d+\.self_attn\.(q_proj|v_proj\.multiway\.1)")
SCORE_TOKENS = score_tokens(5)


class MovingRows(nn.Module):
    """lm_head [V, D] with the rows `ids` in a parameter of their own, [K, D] in float32, to be trained while the rest stays."""

    def __init__(self, head: nn.Linear, ids: torch.Tensor):
        super().__init__()
        self.head = head
        self.register_buffer("ids", ids.to(head.weight.device), persistent=False)
        self.rows = nn.Parameter(head.weight[self.ids].detach().float())

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = self.head(hidden)
        return logits.index_copy(-1, self.ids, F.linear(hidden.float(), self.rows).to(logits.dtype))


def open_mplug_owl2(found: Spec, device: torch.device, dtype: torch.dtype) -> "MplugOwl2Tuner":
    """The mPLUG-Owl2 of `found`. Raises ModelLoadError when it cannot be read or its adapter was made for another base."""
    check_belongs(found)
    layout = find_layout(found.adapter, found.base) if found.adapter else find_layout(found.base)
    model, processor = load_model(layout, dtype, device, merge=False)
    check_rows(layout, model, processor)
    adapted = attach_lora(model, layout.lora, trainable=True) if layout.lora else None
    return MplugOwl2Tuner(found, MplugOwl2Backbone(model, processor), layout, adapted)


def check_rows(layout: Layout, model: MplugOwl2Model, processor: MplugOwl2Processor) -> None:
    """Raises ModelLoadError unless the score tokens, where there are any, are the last of the vocabulary, as published."""
    count, vocabulary = len(model.config.score_tokens), model.config.vocab_size
    ids = {processor.token_id(token) for token in model.config.score_tokens}
    if model.deepmlp is not None and ids != set(range(vocabulary - count, vocabulary)):
        raise ModelLoadError(
            f"{layout.folder / CONFIG} names score tokens that are not the last of the vocabulary, as in every published model: "
            "this one cannot be fine-tuned."
        )


@torch.no_grad()
def add_score_tokens(model: MplugOwl2Model, processor: MplugOwl2Processor) -> None:
    """Give the untrained base (changed in place) Q-Scorer's tokens and regressor, untrained; new rows are the mean of the others."""
    config, first = model.config, model.config.vocab_size
    for layer in (model.model.embed_tokens, model.lm_head):
        mean = layer.weight.mean(0, keepdim=True, dtype=torch.float32).to(layer.weight.dtype)
        layer.weight = nn.Parameter(torch.cat([layer.weight, mean.expand(len(SCORE_TOKENS), -1)]))
    config.vocab_size = first + len(SCORE_TOKENS)
    config.score_tokens = list(SCORE_TOKENS)
    config.deepmlp_hidden_dims = [
        config.hidden_size // 2,
        config.hidden_size // 4,
    ]  # as published, for the published size
    model.deepmlp = DeepMLP(config.hidden_size, config.deepmlp_hidden_dims).to(layer.weight.device, layer.weight.dtype)
    nn.init.constant_(model.deepmlp.output_layer.bias, sum(SCORE_SCALE) / 2)
    processor.add_tokens({token: first + n for n, token in enumerate(SCORE_TOKENS)})


class MplugOwl2Tuner:
    """A Tuner (model/tuning.py) of the mPLUG-Owl2 at `found`; layout: of its files; adapted: the model with the LoRA that goes on."""

    options = LARGE_MODELS
    plain_peft = """\
    model, processor = load_model(find_layout(FOLDER, BASE), merge=False)  # from model.backbones.mplug_owl2_loading, model.layouts
    PeftModel.from_pretrained(model, FOLDER)"""

    def __init__(
        self, found: Spec, backbone: MplugOwl2Backbone, layout: Layout | None = None, adapted: PeftModel | None = None
    ):
        self.found, self.backbone, self.layout, self.adapted = found, backbone, layout, adapted
        self.teaches_tokens = layout is not None and layout.name == BASE
        self.readout = "score_token" if self.teaches_tokens else backbone.readout
        self.scale = SCORE_SCALE if self.teaches_tokens else backbone.scale

    @property
    def model(self) -> MplugOwl2Model:
        return self.backbone.model

    @torch.no_grad()
    def prepare(self, image: Image.Image) -> Encoded:
        pixels = self.backbone.prepare(image).pixels
        return Encoded(self.model.encode(pixels.to(self.model.device, self.model.dtype))[0].cpu())

    def _hidden(self, batch: Sequence[Encoded], ids: torch.Tensor) -> torch.Tensor:
        rows = torch.stack([example.rows for example in batch]).to(self.model.device)
        return self.model.decode(
            rows, ids, self.backbone.image_start, last=ids.shape[1] - self.backbone.image_start - 1
        )

    @torch.no_grad()
    def predict(self, batch: Sequence[Encoded]) -> torch.Tensor:
        self.model.eval()
        hidden = self._hidden(batch, self.backbone.prompt_ids.expand(len(batch), -1))[:, -1]
        score = read(self.backbone, hidden, self.model.lm_head(hidden)).score.float().cpu()
        (low, high), (start, end) = self.backbone.scale, self.scale
        return start + (score - low) / (high - low) * (end - start)

    def begin(self, rank: int) -> int:
        if self.teaches_tokens:
            add_score_tokens(self.model, self.backbone.processor)
            self.backbone = MplugOwl2Backbone(self.model, self.backbone.processor)
        model = self.model
        if not self.adapted:
            names = [name for name, _ in model.named_modules() if ADAPTED.fullmatch(name)]
            self.adapted = wrap(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names))
        if self.readout == "score_token":
            model.lm_head = MovingRows(model.lm_head, self.backbone.token_ids)
            model.deepmlp.requires_grad_(True)
        make_ready(model)
        return self.adapted.peft_config["default"].r

    def loss(self, batch: Sequence[Encoded], mos: torch.Tensor) -> torch.Tensor:
        """Score tokens: cross-entropy of the answer (stem, bare prefix, token, "." and </s>) + MSE at the position that predicts the token
        + 0.5 norm-in-norm. Level words: the cross-entropy alone."""
        backbone, processor = self.backbone, self.backbone.processor
        levels = [interval_index(m, backbone.scale, len(backbone.tokens)) for m in mos.tolist()]
        question, colon, stem = backbone.prompt.rpartition(":")
        _, ending = processor.training_example("", f"{stem.strip()} {backbone.tokens[0]}.")
        ending = torch.tensor(ending[-2:], device=self.model.device).expand(len(batch), -1)
        prompt = backbone.prompt_ids.expand(len(batch), -1)
        ids = torch.cat([prompt, backbone.token_ids[levels, None], ending], 1)
        answer = ids[:, len(processor.ids(question + colon)) :]
        hidden = self._hidden(batch, ids)[:, -answer.shape[1] - 1 : -1]
        loss = answer_cross_entropy(self.model.lm_head(hidden).float(), answer)
        if self.readout == "score_token":
            loss = loss + regression_loss(self.model.deepmlp(hidden[:, -3].float()), mos.to(hidden.device))
        return loss

    def save(self, folder: Path, origin: dict) -> None:
        """The LoRA; what an earlier adapter had changed in the base and has not moved; what has moved, in float32."""
        layout, model = self.layout, self.model
        under = layout.under or layout.pieces
        save_peft(self.adapted, folder, origin["base"], origin["base_revision"])
        model.config.save_pretrained(folder)
        self.backbone.processor.save_pretrained(folder)
        moved = self._moved()
        kept = {}
        for name, pieces in layout.pieces.items() if layout.lora else ():
            if not IGNORED.search(name) and name not in moved:
                kept |= difference(name, pieces, under.get(name))
        save_file(kept | moved, folder / f"{NON_LORA}.safetensors", {"format": "pt"})
        write_json(folder / CONVERTED, {"from": "model.finetune", "base": fingerprint(under)})

    def _moved(self) -> dict[str, torch.Tensor]:
        """The regressor, and the score tokens' rows, which are the last; by the layout's names."""
        if self.readout != "score_token":
            return {}
        head = self.model.lm_head
        first = self.model.config.vocab_size - len(head.rows)
        rows = head.rows[head.ids.argsort()]
        regressor = {f"deepmlp.{name}": tensor for name, tensor in self.model.deepmlp.state_dict().items()}
        moved = regressor | {f"lm_head.weight[{first}:]": rows}
        if self.teaches_tokens:  # these rows have not moved, but the base has none
            moved[f"model.embed_tokens.weight[{first}:]"] = self.model.model.embed_tokens.weight[first:]
        return {name: tensor.detach().cpu().contiguous() for name, tensor in moved.items()}

    def reload(self, folder: Path) -> "MplugOwl2Tuner":
        device, dtype = self.model.device, str(self.model.dtype).removeprefix("torch.")
        del self.backbone, self.adapted  # or two models would be in memory
        gc.collect()
        made = replace(self.found, adapter=folder)
        return MplugOwl2Tuner(made, load_mplug_owl2(made, device, dtype, "quality"))
