"""mPLUG-Owl2 and Q-Scorer's head once more, from state dict and config alone, in the dtype of the state: what other shapes must give.

Written down from the description of the originals as plainly as possible (rows gathered by masks, no fused kernels, no module of
ours); tests/model/backbones/test_other_shapes.py holds it against the originals' own results.
"""

import math

import torch
import torch.nn.functional as F

State = dict[str, torch.Tensor]
IMAGE_ID, NO_LABEL = -200, -100


def linear(state: State, name: str, rows: torch.Tensor) -> torch.Tensor:
    return F.linear(rows, state[f"{name}.weight"], state.get(f"{name}.bias"))


def layer_norm(state: State, name: str, rows: torch.Tensor, eps: float) -> torch.Tensor:
    return F.layer_norm(rows, rows.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, causal: bool) -> torch.Tensor:
    """[B, heads, T, d] to [B, T, heads * d]."""
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if causal:
        scores = scores + torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype).triu(1)
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def heads_of(rows: torch.Tensor, heads: int) -> torch.Tensor:
    return rows.reshape(*rows.shape[:2], heads, -1).transpose(1, 2)


def vision(state: State, config: dict, pixels: torch.Tensor, taps: State) -> torch.Tensor:
    settings, root = config["visual_config"]["visual_model"], "model.vision_model"
    eps, heads = settings["layer_norm_eps"], settings["num_attention_heads"]
    patches = F.conv2d(pixels, state[f"{root}.embeddings.patch_embed.weight"], stride=settings["patch_size"])
    patches = patches.flatten(2).mT
    rows = torch.cat([state[f"{root}.embeddings.cls_token"].expand(len(pixels), 1, -1), patches], 1)
    rows = rows + state[f"{root}.embeddings.position_embedding"]
    rows = taps["vision.embeddings"] = layer_norm(state, f"{root}.embeddings.pre_layernorm", rows, eps)
    for n in range(settings["num_hidden_layers"]):
        at = f"{root}.encoder.layers.{n}"
        fused = linear(state, f"{at}.self_attn.query_key_value", layer_norm(state, f"{at}.input_layernorm", rows, eps))
        by_head = fused.reshape(*rows.shape[:2], heads, 3, -1)
        mixed = attend(*(by_head[:, :, :, part].transpose(1, 2) for part in range(3)), causal=False)
        rows = rows + linear(state, f"{at}.self_attn.dense", mixed)
        wide = linear(state, f"{at}.mlp.fc1", layer_norm(state, f"{at}.post_attention_layernorm", rows, eps))
        rows = rows + linear(state, f"{at}.mlp.fc2", wide * torch.sigmoid(1.702 * wide))
        taps[f"vision.layer{n}"] = rows
    rows = taps["vision.last_hidden_state"] = layer_norm(state, f"{root}.post_layernorm", rows, eps)
    return rows


def sines(place: float, width: int) -> list[float]:
    """Half of them sines, half cosines."""
    angles = [place / 10000 ** (n / (width / 2)) for n in range(width // 2)]
    return [*map(math.sin, angles), *map(math.cos, angles)]


def positions(state: State, at: str, settings: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """The file's tables, or computed ones."""
    if f"{at}.q_pos_embed" in state:
        return state[f"{at}.q_pos_embed"], state[f"{at}.k_pos_embed"]
    width, grid = settings["hidden_size"], settings["grid_size"]
    queries = torch.tensor([sines(n, width) for n in range(settings["num_learnable_queries"])], dtype=torch.float64)
    width = settings["encoder_hidden_size"]
    keys = [[0.0] * width]
    keys += [sines(column, width // 2) + sines(row, width // 2) for row in range(grid) for column in range(grid)]
    return queries, torch.tensor(keys, dtype=torch.float64)


def abstractor(state: State, config: dict, tokens: torch.Tensor, taps: State) -> torch.Tensor:
    settings, root = config["visual_config"]["visual_abstractor"], "model.visual_abstractor"
    heads = settings["num_attention_heads"]
    rows = state[f"{root}.query_embeds"].expand(len(tokens), -1, -1)
    for n in range(settings["num_hidden_layers"]):
        at = f"{root}.encoder.layers.{n}.crossattention"
        rows = layer_norm(state, f"{at}.norm1", rows, 1e-5)
        context = torch.cat([rows, layer_norm(state, f"{at}.normk", tokens, 1e-5)], 1)
        of_queries, of_keys = (table.to(rows) for table in positions(state, f"{at}.attention", settings))
        mixed = attend(
            heads_of(linear(state, f"{at}.attention.query", rows + of_queries), heads),
            heads_of(linear(state, f"{at}.attention.key", context + torch.cat([of_queries, of_keys])), heads),
            heads_of(linear(state, f"{at}.attention.value", context), heads),
            causal=False,
        )
        rows = rows + linear(state, f"{at}.output.out_proj", mixed)
        normed = layer_norm(state, f"{at}.output.norm2", rows, 1e-5)
        gate, up = (linear(state, f"{at}.output.mlp.{name}", normed) for name in ("w1", "w3"))
        inner = layer_norm(state, f"{at}.output.mlp.ffn_ln", F.silu(gate) * up, settings["layer_norm_eps"])
        rows = taps[f"abstractor.layer{n}"] = rows + linear(state, f"{at}.output.mlp.w2", inner)
    rows = linear(state, f"{root}.visual_fc", rows)
    rows = torch.cat([rows, state[f"{root}.vit_eos"].expand(len(tokens), 1, -1)], 1)
    taps["abstractor.last_hidden_state"] = rows
    return rows


def by_kind(of_image: torch.Tensor, rows: torch.Tensor, text, image) -> torch.Tensor:
    """`image` of the rows that an image gave, `text` of the others."""
    return torch.where(of_image[None, :, None], image(rows), text(rows))


def decoder(state: State, config: dict, rows: torch.Tensor, of_image: torch.Tensor, taps: State) -> torch.Tensor:
    heads, eps = config["num_attention_heads"], config["rms_norm_eps"]

    def norm(name: str, rows: torch.Tensor) -> torch.Tensor:
        return rows / (rows.square().mean(-1, keepdim=True) + eps).sqrt() * state[f"{name}.weight"]

    def multiway(kind, name: str, rows: torch.Tensor) -> torch.Tensor:
        return by_kind(of_image, rows, *(lambda r, n=n: kind(f"{name}.multiway.{n}", r) for n in (0, 1)))

    def project(name: str, rows: torch.Tensor) -> torch.Tensor:
        return linear(state, name, rows)

    def turned(rows: torch.Tensor) -> torch.Tensor:
        half = rows.shape[-1] // 2
        speeds = config["rope_theta"] ** -(torch.arange(half).double() / half)
        angles = torch.arange(rows.shape[2]).double()[:, None] * speeds
        turns = torch.polar(torch.ones_like(angles), angles).to(rows.dtype.to_complex())
        pairs = torch.complex(rows[..., :half].contiguous(), rows[..., half:].contiguous()) * turns
        return torch.cat([pairs.real, pairs.imag], -1)

    for n in range(config["num_hidden_layers"]):
        at = f"model.layers.{n}"
        normed = multiway(norm, f"{at}.input_layernorm", rows)
        query = turned(heads_of(project(f"{at}.self_attn.q_proj", normed), heads))
        key = turned(heads_of(multiway(project, f"{at}.self_attn.k_proj", normed), heads))
        value = heads_of(multiway(project, f"{at}.self_attn.v_proj", normed), heads)
        rows = rows + project(f"{at}.self_attn.o_proj", attend(query, key, value, causal=True))
        normed = multiway(norm, f"{at}.post_attention_layernorm", rows)
        wide = F.silu(project(f"{at}.mlp.gate_proj", normed)) * project(f"{at}.mlp.up_proj", normed)
        rows = taps[f"llm.layer{n}"] = rows + project(f"{at}.mlp.down_proj", wide)
    rows = taps["llm.final_norm"] = norm("model.norm", rows)
    return rows


def whole(state: State, config: dict, pixels: torch.Tensor, ids: list[int]) -> State:
    """Every tap, under the fixtures' names, of images [B, 3, S, S] or clips [B, n, 3, S, S] after one prompt with one image mark."""
    taps: State = {}
    frames = pixels.to(state["lm_head.weight"].dtype).reshape(-1, *pixels.shape[-3:])
    shown = abstractor(state, config, vision(state, config, frames, taps), taps)
    shown = shown.reshape(len(pixels), -1, shown.shape[-1])
    mark = ids.index(IMAGE_ID)
    before, after = (state["model.embed_tokens.weight"][part] for part in (ids[:mark], ids[mark + 1 :]))
    rows = torch.cat([before.expand(len(shown), -1, -1), shown, after.expand(len(shown), -1, -1)], 1)
    of_image = torch.zeros(rows.shape[1], dtype=torch.bool)
    of_image[mark : mark + shown.shape[1]] = True
    taps["llm.inputs_embeds"] = rows
    taps["llm.modality_indicators"] = of_image.long().expand(len(shown), -1)
    hidden = decoder(state, config, rows, of_image, taps)
    taps["hidden_last"] = hidden[:, -1]
    taps["logits"] = linear(state, "lm_head", hidden)
    taps["logits.last"] = taps["logits"][:, -1]
    return taps


def at_the_end(state: State, config: dict, pixels: torch.Tensor, ids: list[int]) -> State:
    """The taps of a forward, in float32, all but the logits of every position, as numbers that can be kept."""
    with torch.no_grad():
        taps = whole(state, config, pixels, ids)
    del taps["logits"]
    return {name: tensor.contiguous() for name, tensor in taps.items()}


def regressed(state: State, hidden: torch.Tensor) -> torch.Tensor:
    """Q-Scorer's head, before the clamp."""
    block = 0
    while f"deepmlp.model.{block}.linear.weight" in state:
        new = linear(state, f"deepmlp.model.{block}.linear", hidden).relu()
        hidden = new + hidden if new.shape == hidden.shape else new
        block += 1
    return linear(state, "deepmlp.output_layer", hidden)[..., 0]


def losses(state: State, config: dict, batch: State, score_ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy and, where there are score tokens, squared error of a training batch, row by row."""
    said, wanted, squares = [], [], state["lm_head.weight"].new_zeros(())
    for row, (ids, labels) in enumerate(zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)):
        taps = whole(state, config, batch["images"][row : row + 1], ids)
        shift = taps["logits"].shape[1] - len(ids)
        for place, label in enumerate(labels):
            if label == NO_LABEL:
                continue
            said.append(taps["logits"][0, place + shift - 1])
            wanted.append(label)
            if label in score_ids:
                score = regressed(state, taps["llm.final_norm"][0, place + shift - 1]).clamp(0, 5)
                squares = squares + (score - batch["gt_scores"][row]).square()
    cross_entropy = F.cross_entropy(torch.stack(said), torch.tensor(wanted))
    return cross_entropy, squares / len(batch["input_ids"])
