"""mPLUG-Owl2: the LLaMA-2 based multimodal LLM under Q-Scorer, OneAlign and DeQA-Score, for inference and training.

    pixels [N, 3, S, S] --VisionModel, Abstractor--> image rows [N, 65, D] --in place of the prompt's image mark-->
    sequence [B, T, D] --decoder--> hidden [B, T, D] --lm_head--> logits

Keys, values and norms have separate weights for text and for image rows. The image rows are one block at the same position in the whole
batch, so they are selected by slices. Padding in training is on the right, so causal attention needs no mask. Rotary tables are computed in
every pass and are not stored in files.
"""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel, initialization
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm, apply_rotary_pos_emb
from transformers.utils import ModelOutput

from model.backbones.mplug_owl2.vision import (
    Abstractor,
    AbstractorAttention,
    AbstractorSizes,
    VisionEmbeddings,
    VisionModel,
    VisionSizes,
    attention,
    sizes_from,
    split_heads,
)
from model.readouts.regressor import HyperRegressor

IMAGE_ID = -200  # the placeholder of the image rows in input_ids


class MplugOwl2Config(PreTrainedConfig):
    """The fields of the published config.json; settings of the original training are kept but not used.

    deepmlp_hidden_dims: the regressor's widths, empty if there is none. score_tokens: names from worst to best, empty for level models.
    """

    model_type = "mplug_owl2"
    hidden_act, mlp_bias = "silu", False  # read by LlamaMLP

    def __init__(
        self,
        vocab_size: int = 32000,
        hidden_size: int = 4096,
        intermediate_size: int = 11008,
        num_hidden_layers: int = 32,
        num_attention_heads: int = 32,
        max_position_embeddings: int = 2048,
        rms_norm_eps: float = 1e-6,
        rope_theta: float = 10000.0,
        initializer_range: float = 0.02,
        visual_config: dict | None = None,
        deepmlp_hidden_dims: tuple[int, ...] = (),
        score_tokens: tuple[str, ...] = (),
        hyper_units: int = 0,
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.max_position_embeddings = max_position_embeddings
        self.rms_norm_eps = rms_norm_eps
        self.rope_theta = rope_theta
        self.initializer_range = initializer_range
        self.visual_config = visual_config or {}
        self.deepmlp_hidden_dims = list(deepmlp_hidden_dims)
        self.hyper_units = hyper_units
        self.score_tokens = list(score_tokens)
        for name, only in {"rope_scaling": None, "attention_bias": False, "hidden_act": "silu"}.items():
            if kwargs.pop(name, only) != only:
                raise ValueError(f"{name} in config.json must be {only}: other values are not supported")
        if kwargs.get("num_key_value_heads", num_attention_heads) not in (None, num_attention_heads):
            raise ValueError("config.json has grouped key/value heads, which are not supported")
        kwargs.pop("auto_map", None)  # names code, which is neither read nor run
        check_sizes(self)
        super().__init__(**{"tie_word_embeddings": False, "use_cache": False, **kwargs})

    @property
    def vision(self) -> VisionSizes:
        return sizes_from(VisionSizes, self.visual_config.get("visual_model", {}))

    @property
    def abstractor(self) -> AbstractorSizes:
        return sizes_from(AbstractorSizes, self.visual_config.get("visual_abstractor", {}))

    @property
    def rows_per_image(self) -> int:
        """The number of positions that one image takes in the sequence: the queries and a final row."""
        return self.abstractor.num_learnable_queries + 1


def check_sizes(config: MplugOwl2Config) -> None:
    """Raises ValueError, naming the field, for invalid sizes."""
    if not isinstance(config.visual_config, dict):
        raise ValueError("visual_config in config.json is not a JSON object")
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    sizes = {name: getattr(config, name) for name in (*names, "max_position_embeddings")}
    for part in (config.vision, config.abstractor):
        whole = {field.name: getattr(part, field.name) for field in fields(part) if field.type is int}
        sizes |= {f"{type(part).__name__}.{name}": size for name, size in whole.items()}
    sizes |= {f"deepmlp_hidden_dims[{n}]": size for n, size in enumerate(config.deepmlp_hidden_dims)}
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} in config.json is {size!r}, but must be an integer of at least 1")
    for part, even in ((config, 2), (config.vision, 1), (config.abstractor, 1)):
        if part.hidden_size % (part.num_attention_heads * even):
            raise ValueError(
                f"hidden_size {part.hidden_size} in config.json is not divisible by num_attention_heads "
                f"{part.num_attention_heads}{' times 2' if even == 2 else ''}"
            )
    if config.vision.patch_size > config.vision.image_size or config.abstractor.hidden_size % 4:
        raise ValueError(
            "config.json has a patch_size larger than its image_size, or an abstractor's hidden_size that is not a multiple of 4"
        )
    if not all(isinstance(token, str) for token in config.score_tokens):
        raise ValueError("score_tokens in config.json is not a list of names")


class Multiway(nn.Module):
    """Two modules of one kind: `multiway[0]` for text rows, `multiway[1]` for the block of image rows."""

    def __init__(self, text: nn.Module, image: nn.Module):
        super().__init__()
        self.multiway = nn.ModuleList([text, image])

    def forward(self, rows: torch.Tensor, image: slice) -> torch.Tensor:
        text, start = torch.cat([rows[:, : image.start], rows[:, image.stop :]], 1), image.start
        text = self.multiway[0](text)
        return torch.cat([text[:, :start], self.multiway[1](rows[:, image]), text[:, start:]], 1)


def rotary_tables(length: int, width: int, base: float, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines [1, length, width] for positions 0..length-1, computed in float32, in dtype and on the device of `like`.

    LlamaRotaryEmbedding would keep a buffer that is in no file, and so could not be loaded from the meta device.
    """
    frequencies = 1.0 / base ** (torch.arange(0, width, 2, device=like.device).float() / width)
    angles = torch.outer(torch.arange(length, device=like.device).float(), frequencies).repeat(1, 2)[None]
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


class DecoderAttention(nn.Module):
    def __init__(self, config: MplugOwl2Config):
        super().__init__()
        width = config.hidden_size
        self.heads, self.config = config.num_attention_heads, config
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = Multiway(*(nn.Linear(width, width, bias=False) for _ in range(2)))
        self.v_proj = Multiway(*(nn.Linear(width, width, bias=False) for _ in range(2)))
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, rows: torch.Tensor, image: slice, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        query, key, value = (
            split_heads(part, self.heads)
            for part in (self.q_proj(rows), self.k_proj(rows, image), self.v_proj(rows, image))
        )
        query, key = apply_rotary_pos_emb(query, key, *rotary)
        return self.o_proj(attention(query, key, value, self.config._attn_implementation, causal=True))


class DecoderLayer(GradientCheckpointingLayer):
    def __init__(self, config: MplugOwl2Config):
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.self_attn = DecoderAttention(config)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = Multiway(LlamaRMSNorm(width, eps), LlamaRMSNorm(width, eps))
        self.post_attention_layernorm = Multiway(LlamaRMSNorm(width, eps), LlamaRMSNorm(width, eps))

    def forward(self, rows: torch.Tensor, image: slice, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        rows = rows + self.self_attn(self.input_layernorm(rows, image), image, rotary)
        return rows + self.mlp(self.post_attention_layernorm(rows, image))


class Decoder(nn.Module):
    """`model` in the published names: the LLM's layers, the vision model and the abstractor."""

    def __init__(self, config: MplugOwl2Config):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.vision_model = VisionModel(config.vision, config)
        self.visual_abstractor = Abstractor(config.abstractor, config.hidden_size, config)

    def forward(self, rows: torch.Tensor, image: slice, last: int | None = None) -> torch.Tensor:
        """Rows [B, T, D], image rows at `image`, to hidden states after the final norm, [B, T, D] or of the `last` positions only."""
        head_width = self.config.hidden_size // self.config.num_attention_heads
        rotary = rotary_tables(rows.shape[1], head_width, self.config.rope_theta, rows)
        for layer in self.layers:
            rows = layer(rows, image, rotary)
        return self.norm(rows if last is None else rows[:, -last:])


class RegressorBlock(nn.Module):
    """Linear and ReLU, plus the input if the two widths are equal (never the case for the published 2048, 1024)."""

    def __init__(self, width_in: int, width_out: int):
        super().__init__()
        self.linear = nn.Linear(width_in, width_out)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        new = F.relu(self.linear(rows))
        return rows + new if new.shape == rows.shape else new


class DeepMLP(nn.Module):
    """Q-Scorer's regressor with the published parameter names: hidden states [..., D] to scores [...]."""

    def __init__(self, hidden_size: int, widths: list[int]):
        super().__init__()
        sizes = [hidden_size, *widths]
        self.model = nn.ModuleList(RegressorBlock(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.output_layer = nn.Linear(sizes[-1], 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for block in self.model:
            hidden = block(hidden)
        return self.output_layer(hidden).squeeze(-1)


@dataclass
class MplugOwl2Output(ModelOutput):
    """hidden [B, T, D] after the final norm, logits [B, T, V]; position t predicts token t + 1. T counts the image rows, not the mark."""

    hidden: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class MplugOwl2Model(PreTrainedModel):
    """Vision, abstractor, decoder, lm_head and, if the config has its widths, Q-Scorer's regressor."""

    config_class = MplugOwl2Config
    base_model_prefix = ""
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["DecoderLayer", "VisionLayer", "VisionEmbeddings", "AbstractorLayer"]
    _keys_to_ignore_on_load_unexpected = [r"rotary_emb\.inv_freq$"]

    def __init__(self, config: MplugOwl2Config):
        super().__init__(config)
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.deepmlp = None
        if config.hyper_units:
            self.deepmlp = HyperRegressor(config.hidden_size, config.hyper_units)
        elif config.deepmlp_hidden_dims:
            self.deepmlp = DeepMLP(config.hidden_size, config.deepmlp_hidden_dims)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.embed_tokens = value

    def get_decoder(self) -> nn.Module:
        return self.model

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, value: nn.Module) -> None:
        self.lm_head = value

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Also fills tensors that the files lack, above all the abstractor's position tables."""
        super()._init_weights(module)
        if isinstance(module, VisionEmbeddings):
            initialization.normal_(module.cls_token, std=self.config.initializer_range)
            initialization.normal_(module.position_embedding, std=self.config.initializer_range)
        elif isinstance(module, Abstractor):
            initialization.normal_(module.query_embeds, std=self.config.initializer_range)
            initialization.normal_(module.vit_eos, std=self.config.initializer_range)
        elif isinstance(module, AbstractorAttention):
            for name, table in module.computed_positions().items():
                initialization.copy_(getattr(module, name), table)

    def encode(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, S, S], or n frames each [B, n, 3, S, S], to image rows [B, 65 n, D]."""
        frames = pixel_values.flatten(0, 1) if pixel_values.dim() == 5 else pixel_values
        rows = self.model.visual_abstractor(self.model.vision_model(frames))
        return rows.reshape(len(pixel_values), -1, rows.shape[-1])

    def decode(
        self, image_rows: torch.Tensor, input_ids: torch.Tensor, start: int, last: int | None = None
    ) -> torch.Tensor:
        """To hidden states after the final norm, [B, T - 1 + R, D] or of the `last` positions only.

        image_rows: [B, R, D]. input_ids: [B, T], with the image mark at `start` in every row.
        """
        before = self.model.embed_tokens(input_ids[:, :start])
        after = self.model.embed_tokens(input_ids[:, start + 1 :])
        rows = torch.cat([before, image_rows.to(before.dtype), after], 1)
        return self.model(rows, slice(start, start + image_rows.shape[1]), last)

    def forward(self, pixel_values: torch.Tensor, input_ids: torch.Tensor) -> MplugOwl2Output:
        """Images as for `encode`, ids [B, T] with one IMAGE_ID per row, at the same position in all rows; else raises ValueError."""
        hidden = self.decode(self.encode(pixel_values), input_ids, image_position(input_ids))
        return MplugOwl2Output(hidden=hidden, logits=self.lm_head(hidden))


def image_position(input_ids: torch.Tensor) -> int:
    """The position of IMAGE_ID in ids [B, T]. Raises ValueError unless every row has one, all at the same position."""
    rows, places = (input_ids == IMAGE_ID).nonzero(as_tuple=True)
    if rows.tolist() != list(range(len(input_ids))) or (places != places[0]).any():
        raise ValueError(
            f"each row of input_ids needs one image mark ({IMAGE_ID}), at the same position in all rows of the batch"
        )
    return int(places[0])


AutoConfig.register(MplugOwl2Config.model_type, MplugOwl2Config)
AutoModel.register(MplugOwl2Config, MplugOwl2Model)
