"""Adapters of mPLUG-Owl2: of Q-Scorer and its published LoRA, OneAlign and other level models, and the plain base.

Trainable: low-rank updates of the LLM's q_proj, and of v_proj for image rows, as in all published LoRAs; with score tokens also their rows
of lm_head and the regressor. Vision encoder and abstractor are frozen, so each image goes through them once.

A level model keeps its level words. The base (mplug-owl2-llama2-7b), which has no readout, learns Q-Scorer's five tokens. An adapter is
written in the layout of model.convert: the LoRA, and all other differences from the base.
"""

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig
from safetensors.torch import save_file
from torch import nn

from model.backbones.adapting import make_trainable
from model.backbones.mplug_owl2.backbone import SCORE_SCALE, MplugOwl2Backbone
from model.backbones.mplug_owl2.converting import difference
from model.backbones.mplug_owl2.layouts import BASE, CONFIG, CONVERTED, IGNORED, NON_LORA, Layout, fingerprint
from model.backbones.mplug_owl2.network import DeepMLP, MplugOwl2Model
from model.backbones.mplug_owl2.processor import MplugOwl2Processor
from model.backbones.peft_files import rank_of, save_peft, wrap
from model.common.errors import ModelLoadError
from model.common.json_files import write_json
from model.readouts.levels import score_tokens
from model.readouts.regressor import build_regressor

ADAPTED = re.compile(r"model\.layers\.\d+\.self_attn\.(q_proj|v_proj\.multiway\.1)")
SCORE_TOKENS = score_tokens(5)
MODULES = {"vision": "model.vision_model", "connector": "model.visual_abstractor", "head": "lm_head"}
EMBEDDING = "model.embed_tokens.weight"


class TrainableRows(nn.Module):
    """lm_head [V, D] whose rows `ids` are a separate trainable parameter, [K, D] in float32; the other rows are frozen."""

    def __init__(self, head: nn.Linear, ids: torch.Tensor):
        super().__init__()
        self.head = head
        self.register_buffer("ids", ids.to(head.weight.device), persistent=False)
        self.rows = nn.Parameter(head.weight[self.ids].detach().float())

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = self.head(hidden)
        return logits.index_copy(-1, self.ids, F.linear(hidden.float(), self.rows).to(logits.dtype))


def check_rows(layout: Layout, model: MplugOwl2Model, processor: MplugOwl2Processor) -> None:
    """Raises ModelLoadError if there are score tokens that are not the last of the vocabulary, as in all published models."""
    count, vocabulary = len(model.config.score_tokens), model.config.vocab_size
    ids = {processor.token_id(token) for token in model.config.score_tokens}
    if model.deepmlp is not None and ids != set(range(vocabulary - count, vocabulary)):
        raise ModelLoadError(
            f"{layout.folder / CONFIG} names score tokens that are not the last of the vocabulary: this model cannot be fine-tuned, "
            "so choose another."
        )


@torch.no_grad()
def add_score_tokens(
    model: MplugOwl2Model,
    processor: MplugOwl2Processor,
    tokens: tuple[str, ...] = SCORE_TOKENS,
    hyper_units: int = 0,
) -> None:
    """Add Q-Scorer's tokens and untrained regressor to a model without (changed in place); new rows are the mean of the others.
    hyper_units: of a hyper network in the regressor's place."""
    config, first = model.config, model.config.vocab_size
    for layer in (model.model.embed_tokens, model.lm_head):
        mean = layer.weight.mean(0, keepdim=True, dtype=torch.float32).to(layer.weight.dtype)
        layer.weight = nn.Parameter(torch.cat([layer.weight, mean.expand(len(tokens), -1)]))
    config.vocab_size = first + len(tokens)
    config.score_tokens = list(tokens)
    config.deepmlp_hidden_dims = [config.hidden_size // 2, config.hidden_size // 4]  # the published ratios
    config.hyper_units = hyper_units
    if hyper_units:
        regressor = build_regressor(config.hidden_size, (), hyper_units, SCORE_SCALE.middle)
    else:
        regressor = DeepMLP(config.hidden_size, config.deepmlp_hidden_dims)
        nn.init.constant_(regressor.output_layer.bias, SCORE_SCALE.middle)
    model.deepmlp = regressor.to(layer.weight.device)
    processor.add_tokens({token: first + n for n, token in enumerate(tokens)})


def learns_tokens(layout: Layout) -> bool:
    """Whether a model has no readout, so that fine-tuning adds score tokens."""
    return layout.name == BASE


def attach(backbone: MplugOwl2Backbone, rank: int) -> int:
    """See `Backbone.adapt`."""
    model = backbone.model
    if learns_tokens(backbone.layout) and not backbone.taught:
        add_score_tokens(model, backbone.processor)
    if not backbone.adapted:
        names = [name for name, _ in model.named_modules() if ADAPTED.fullmatch(name)]
        backbone.adapted = wrap(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names))
    backbone.update_readout()
    for part in backbone.also_trained:
        model.get_submodule(MODULES[part]).requires_grad_(True)
    if backbone.readout.regressor is not None:
        if "head" not in backbone.also_trained:
            model.lm_head = TrainableRows(model.lm_head, backbone.readout.token_ids)
        backbone.readout.regressor.requires_grad_(True)
    make_trainable(model)
    return rank_of(backbone.adapted)


def save(backbone: MplugOwl2Backbone, folder: Path, base: str, base_revision: str) -> None:
    """Write the LoRA; tensors that a resumed adapter had changed and that are not trained here; trained tensors in float32."""
    layout = backbone.layout
    under = layout.under or layout.pieces
    save_peft(backbone.adapted, folder, base, base_revision)
    backbone.model.config.save_pretrained(folder)
    backbone.processor.save_pretrained(folder)
    trained = trained_tensors(backbone)
    kept = {}
    for name, pieces in layout.pieces.items() if layout.lora else ():
        if not IGNORED.search(name) and name not in trained:
            kept |= difference(name, pieces, under.get(name))
    save_file(kept | trained, folder / f"{NON_LORA}.safetensors", {"format": "pt"})
    write_json(folder / CONVERTED, {"from": "model.finetune", "base": fingerprint(under)})


def trained_tensors(backbone: MplugOwl2Backbone) -> dict[str, torch.Tensor]:
    """The parts that are trained in full, the regressor and the score tokens' rows, which are the last, by the layout's names."""
    model = backbone.model
    trained = {
        f"{MODULES[part]}.{name}": tensor
        for part in backbone.also_trained
        for name, tensor in model.get_submodule(MODULES[part]).named_parameters()
    }
    if model.deepmlp is not None:
        trained |= {f"deepmlp.{name}": tensor for name, tensor in model.deepmlp.state_dict().items()}
        first = model.config.vocab_size - len(model.config.score_tokens)
        if isinstance(model.lm_head, TrainableRows):
            trained[f"lm_head.weight[{first}:]"] = model.lm_head.rows[model.lm_head.ids.argsort()]
        rows = sum(piece.shape[0] for piece in backbone.layout.pieces[EMBEDDING])
        if rows < model.config.vocab_size:  # these rows are not trained, but the base lacks them
            trained[f"{EMBEDDING}[{first}:]"] = model.model.embed_tokens.weight[first:]
    return {name: tensor.detach().cpu().contiguous() for name, tensor in trained.items()}
