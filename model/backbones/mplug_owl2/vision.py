"""mPLUG-Owl2's vision part: a ViT from 448 x 448 pixels to 1025 tokens, and an abstractor that reduces them to 64 rows.

    pixels [N, 3, S, S] --VisionModel--> tokens [N, 1 + (S / patch)^2, C] --Abstractor--> rows [N, queries + 1, D]

Modules and parameters have the names of the published checkpoints. `config` is the whole model's: it selects the implementation of
attention.
"""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedConfig
from transformers.modeling_layers import GradientCheckpointingLayer


@dataclass(frozen=True)
class VisionSizes:
    """visual_config.visual_model of config.json; the defaults are the published 7B model's."""

    hidden_size: int = 1024
    intermediate_size: int = 4096
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    num_channels: int = 3
    image_size: int = 448
    patch_size: int = 14
    layer_norm_eps: float = 1e-6


@dataclass(frozen=True)
class AbstractorSizes:
    """visual_config.visual_abstractor of config.json; the defaults are the published 7B model's."""

    num_learnable_queries: int = 64
    hidden_size: int = 1024
    intermediate_size: int = 2816
    num_hidden_layers: int = 6
    num_attention_heads: int = 16
    encoder_hidden_size: int = 1024
    grid_size: int = 32
    layer_norm_eps: float = 1e-6


def sizes_from(kind: type, settings: dict):
    """A VisionSizes or AbstractorSizes from a section of config.json; other keys (training settings) are ignored."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in settings.items() if name in known})


def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, implementation: str, causal: bool = False
) -> torch.Tensor:
    """Softmax attention of [B, heads, Q, d] over [B, heads, K, d], scale d^-0.5, to [B, Q, heads * d]. The softmax is in float32.

    implementation: "sdpa" (PyTorch's fused kernels) or "eager" (explicit, for comparison).
    """
    if implementation == "sdpa":
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    else:
        scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
        if causal:
            later = torch.ones(scores.shape[2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
        mixed = scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value
    return mixed.transpose(1, 2).flatten(2)


def split_heads(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """[B, T, heads * d] to [B, heads, T, d]."""
    return rows.unflatten(2, (heads, -1)).transpose(1, 2)


class VisionEmbeddings(nn.Module):
    """Pixels to patch tokens, class token first, with learned positions; normalised."""

    def __init__(self, sizes: VisionSizes):
        super().__init__()
        width, patches = sizes.hidden_size, (sizes.image_size // sizes.patch_size) ** 2
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.position_embedding = nn.Parameter(torch.empty(1, 1 + patches, width))
        self.patch_embed = nn.Conv2d(sizes.num_channels, width, sizes.patch_size, sizes.patch_size, bias=False)
        self.pre_layernorm = nn.LayerNorm(width, sizes.layer_norm_eps)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embed(pixels).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches], 1)
        return self.pre_layernorm(tokens + self.position_embedding)


class VisionAttention(nn.Module):
    """Attention whose query, key and value share one matrix, ordered by head, then (query, key, value)."""

    def __init__(self, sizes: VisionSizes, config: PreTrainedConfig):
        super().__init__()
        self.heads, self.config = sizes.num_attention_heads, config
        self.query_key_value = nn.Linear(sizes.hidden_size, 3 * sizes.hidden_size)
        self.dense = nn.Linear(sizes.hidden_size, sizes.hidden_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        fused = self.query_key_value(tokens).unflatten(2, (self.heads, 3, -1))  # [B, T, heads, 3, d]
        query, key, value = fused.permute(3, 0, 2, 1, 4)
        return self.dense(attention(query, key, value, self.config._attn_implementation))


class VisionMLP(nn.Module):
    def __init__(self, sizes: VisionSizes):
        super().__init__()
        self.fc1 = nn.Linear(sizes.hidden_size, sizes.intermediate_size)
        self.fc2 = nn.Linear(sizes.intermediate_size, sizes.hidden_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        wide = self.fc1(tokens)
        return self.fc2(wide * torch.sigmoid(1.702 * wide))  # quick GELU, whatever hidden_act says, as in the originals


class VisionLayer(GradientCheckpointingLayer):
    def __init__(self, sizes: VisionSizes, config: PreTrainedConfig):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(sizes.hidden_size, sizes.layer_norm_eps)
        self.self_attn = VisionAttention(sizes, config)
        self.post_attention_layernorm = nn.LayerNorm(sizes.hidden_size, sizes.layer_norm_eps)
        self.mlp = VisionMLP(sizes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.self_attn(self.input_layernorm(tokens))
        return tokens + self.mlp(self.post_attention_layernorm(tokens))


class LayerStack(nn.Module):
    """`encoder.layers` in the published names."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.layers = nn.ModuleList(layers)


class VisionModel(nn.Module):
    """Pixels [N, 3, S, S] to normalised tokens [N, 1 + patches, C]."""

    def __init__(self, sizes: VisionSizes, config: PreTrainedConfig):
        super().__init__()
        self.embeddings = VisionEmbeddings(sizes)
        self.encoder = LayerStack([VisionLayer(sizes, config) for _ in range(sizes.num_hidden_layers)])
        self.post_layernorm = nn.LayerNorm(sizes.hidden_size, sizes.layer_norm_eps)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = self.embeddings(pixels)
        for layer in self.encoder.layers:
            tokens = layer(tokens)
        return self.post_layernorm(tokens)


def sine_table(positions: torch.Tensor, width: int) -> torch.Tensor:
    """Positions [N] to [N, width]: sines in the first half, cosines in the second, frequencies 10000^(-2i / width). In float64."""
    frequencies = 10000.0 ** (-torch.arange(width // 2, dtype=torch.float64) / (width // 2))
    angles = positions.double()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def query_positions(count: int, width: int) -> torch.Tensor:
    """Position table of the learned queries: [count, width] in float32."""
    return sine_table(torch.arange(count), width).float()


def key_positions(grid: int, width: int) -> torch.Tensor:
    """Position table of the patches: [1 + grid^2, width] in float32, in row-major order. The first half of the width encodes the column,
    the second the row; the class token, which is first, has zeros."""
    row, column = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    table = torch.cat([sine_table(column.flatten(), width // 2), sine_table(row.flatten(), width // 2)], 1)
    return torch.cat([torch.zeros(1, width), table.float()])


class AbstractorAttention(nn.Module):
    """Projections of the cross-attention. Positions are added to the inputs of queries and keys, not to those of values.

    Files written by the original training have the position tables, rounded to the file's dtype; the base's do not:
    `compute_positions` (loading.py) computes them.
    """

    def __init__(self, sizes: AbstractorSizes, config: PreTrainedConfig):
        super().__init__()
        width, keys = sizes.hidden_size, 1 + sizes.grid_size**2
        self.heads, self.config, self.grid = sizes.num_attention_heads, config, sizes.grid_size
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(sizes.encoder_hidden_size, width)
        self.value = nn.Linear(sizes.encoder_hidden_size, width)
        self.register_buffer("q_pos_embed", torch.empty(sizes.num_learnable_queries, width))
        self.register_buffer("k_pos_embed", torch.empty(keys, sizes.encoder_hidden_size))

    def computed_positions(self) -> dict[str, torch.Tensor]:
        """The two tables as computed by the original, in float32 on the CPU."""
        return {
            "q_pos_embed": query_positions(*self.q_pos_embed.shape),
            "k_pos_embed": key_positions(self.grid, self.k_pos_embed.shape[1]),
        }

    def forward(self, queries: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Normalised queries [N, Q, C] attend to context [N, Q + T, C], which starts with the queries: [N, Q, C]."""
        context_positions = torch.cat([self.q_pos_embed, self.k_pos_embed])
        query = split_heads(self.query(queries + self.q_pos_embed), self.heads)
        key = split_heads(self.key(context + context_positions), self.heads)
        value = split_heads(self.value(context), self.heads)
        return attention(query, key, value, self.config._attn_implementation)


class AbstractorMLP(nn.Module):
    def __init__(self, sizes: AbstractorSizes):
        super().__init__()
        self.w1 = nn.Linear(sizes.hidden_size, sizes.intermediate_size)
        self.w2 = nn.Linear(sizes.intermediate_size, sizes.hidden_size)
        self.w3 = nn.Linear(sizes.hidden_size, sizes.intermediate_size)
        self.ffn_ln = nn.LayerNorm(sizes.intermediate_size, sizes.layer_norm_eps)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.w2(self.ffn_ln(F.silu(self.w1(rows)) * self.w3(rows)))


class AbstractorOutput(nn.Module):
    def __init__(self, sizes: AbstractorSizes):
        super().__init__()
        self.out_proj = nn.Linear(sizes.hidden_size, sizes.hidden_size)
        self.norm2 = nn.LayerNorm(sizes.hidden_size)  # eps 1e-5, unlike ffn_ln, as in the originals
        self.mlp = AbstractorMLP(sizes)

    def forward(self, queries: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        rows = queries + self.out_proj(mixed)
        return rows + self.mlp(self.norm2(rows))


class AbstractorCrossAttention(nn.Module):
    """The residual connection starts at the NORMALISED queries, as in the originals."""

    def __init__(self, sizes: AbstractorSizes, config: PreTrainedConfig):
        super().__init__()
        self.attention = AbstractorAttention(sizes, config)
        self.output = AbstractorOutput(sizes)
        self.norm1 = nn.LayerNorm(sizes.hidden_size)  # eps 1e-5, as norm2 and normk
        self.normk = nn.LayerNorm(sizes.encoder_hidden_size)

    def forward(self, queries: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        queries = self.norm1(queries)
        context = torch.cat([queries, self.normk(tokens)], 1)
        return self.output(queries, self.attention(queries, context))


class AbstractorLayer(GradientCheckpointingLayer):
    def __init__(self, sizes: AbstractorSizes, config: PreTrainedConfig):
        super().__init__()
        self.crossattention = AbstractorCrossAttention(sizes, config)

    def forward(self, queries: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self.crossattention(queries, tokens)


class Abstractor(nn.Module):
    """Vision tokens [N, T, C] to rows [N, queries + 1, D] of the LLM's width: one per query, then one learned row."""

    def __init__(self, sizes: AbstractorSizes, llm_width: int, config: PreTrainedConfig):
        super().__init__()
        self.query_embeds = nn.Parameter(torch.empty(1, sizes.num_learnable_queries, sizes.hidden_size))
        self.vit_eos = nn.Parameter(torch.empty(1, 1, llm_width))
        self.encoder = LayerStack([AbstractorLayer(sizes, config) for _ in range(sizes.num_hidden_layers)])
        self.visual_fc = nn.Linear(sizes.hidden_size, llm_width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        queries = self.query_embeds.expand(len(tokens), -1, -1)
        for layer in self.encoder.layers:
            queries = layer(queries, tokens)
        return torch.cat([self.visual_fc(queries), self.vit_eos.expand(len(tokens), -1, -1)], 1)
