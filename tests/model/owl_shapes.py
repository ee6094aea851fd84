"""Shapes of mPLUG-Owl2 that a set of fixtures may have, and what a model of each is made of: config, words, weights and what it sees."""

import io
from dataclasses import dataclass

import numpy as np
import sentencepiece
import torch
from PIL import Image

from model.backbones.mplug_owl2.network import MplugOwl2Config, MplugOwl2Model
from model.backbones.mplug_owl2.prompts import SYSTEM
from model.readouts.levels import LEVEL_WORDS
from tests.model.owl_fixtures import common
from tests.model.owl_reference import IMAGE_ID, NO_LABEL, State, positions

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
QUESTIONS = ["How would you rate the quality of this image?", "Rate the quality of this image.", "What is its quality?"]


@dataclass(frozen=True)
class Shape:
    """What a set of fixtures may differ in. images: (width, height) of each. tokens: how many score tokens."""

    seed: int
    hidden: int
    heads: int
    layers: int
    vision: tuple[int, int, int]  # width, heads, layers
    side: int
    patch: int
    abstractor: tuple[int, int, int]  # heads, layers, queries
    regressor: tuple[int, ...]
    tokens: int
    pieces: int  # of the vocabulary, without score tokens
    rank: int
    alpha: int
    positions: int
    shards: int
    images: tuple[tuple[int, int], ...]
    groups: tuple[tuple[int, ...], ...]

    @property
    def names(self) -> list[str]:
        return [f"<score{n}>" for n in range(1, self.tokens + 1)]


SHAPES = {
    "wide": Shape(
        seed=1,
        hidden=96,
        heads=3,
        layers=3,
        vision=(48, 3, 3),
        side=70,
        patch=14,
        abstractor=(4, 1, 9),
        regressor=(96, 32, 8),
        tokens=7,
        pieces=460,
        rank=4,
        alpha=4,
        positions=1024,
        shards=3,
        images=((101, 40), (30, 77), (50, 50), (1, 60)),
        groups=((0,), (1, 2, 3), (3, 0)),
    ),
    "narrow": Shape(
        seed=2,
        hidden=40,
        heads=5,
        layers=1,
        vision=(16, 1, 1),
        side=64,
        patch=8,
        abstractor=(2, 3, 64),
        regressor=(12,),
        tokens=5,
        pieces=430,
        rank=3,
        alpha=16,
        positions=256,
        shards=2,
        images=((64, 64), (200, 90)),
        groups=((1,), (0, 1)),
    ),
}


def settings_of(shape: Shape) -> dict:
    """config.json as the originals write it, without what only Q-Scorer's has."""
    width, heads, layers = shape.vision
    to_heads, to_layers, queries = shape.abstractor
    visual_model = {
        "hidden_size": width,
        "intermediate_size": 2 * width + 6,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "image_size": shape.side,
        "patch_size": shape.patch,
        "layer_norm_eps": 1e-6,
        "hidden_act": "quick_gelu",
        "num_channels": 3,
        "model_type": "mplug_owl_vision_model",
    }
    visual_abstractor = {
        "num_learnable_queries": queries,
        "hidden_size": width,
        "num_hidden_layers": to_layers,
        "num_attention_heads": to_heads,
        "intermediate_size": 2 * width - 6,
        "layer_norm_eps": 1e-6,
        "encoder_hidden_size": width,
        "grid_size": shape.side // shape.patch,
        "model_type": "mplug_owl_visual_abstract",
    }
    return {
        "architectures": ["MPLUGOwl2LlamaForCausalLM"],
        "model_type": "mplug_owl2",
        "auto_map": {"AutoConfig": "configuration_mplug_owl2.MPLUGOwl2Config"},
        "vocab_size": shape.pieces,
        "hidden_size": shape.hidden,
        "intermediate_size": 3 * shape.hidden + 2,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "attention_bias": False,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "visual_config": {"visual_model": visual_model, "visual_abstractor": visual_abstractor},
    }


def tokenizer(shape: Shape) -> sentencepiece.SentencePieceProcessor:
    """A sentencepiece model with LLaMA's options, in which each level word and the bare prefix are one piece."""
    texts = [
        prompt["text"].replace("<|image|>", "") for prompt in common("real_tokenizer_facts.json")["prompts"].values()
    ]
    texts += [SYSTEM, *QUESTIONS, *(f"The quality of the image is {word}." for word in LEVEL_WORDS)]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(20 * texts + 400 * [" ".join(LEVEL_WORDS)]),
        model_writer=written,
        vocab_size=shape.pieces,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())


def draw(config: dict, random: torch.Generator) -> State:
    """Weights that let an image's content reach the score, rounded to float16 as in files."""
    with torch.device("meta"):
        places = MplugOwl2Model(MplugOwl2Config.from_dict(config)).state_dict()
    state = {}
    for name, place in places.items():
        noise = torch.randn(place.shape, generator=random)
        if len(place.shape) > 1:
            state[name] = noise * (0.5 if "embed" in name or "token" in name else place[0].numel() ** -0.5)
        else:
            state[name] = 0.1 * noise + ("norm" in name and name.endswith("weight"))
    return {name: value.half().float() for name, value in state.items()}


def with_positions(state: State, config: dict) -> State:
    """With the position tables that the original training writes into files."""
    settings, filled = config["visual_config"]["visual_abstractor"], dict(state)
    for n in range(settings["num_hidden_layers"]):
        at = f"model.visual_abstractor.encoder.layers.{n}.crossattention.attention"
        for name, table in zip(("q", "k"), positions({}, at, settings), strict=True):
            filled[f"{at}.{name}_pos_embed"] = table.half().float()
    return filled


class Text:
    """The tokenizer with score tokens, as the originals use it."""

    def __init__(self, shape: Shape, names: list[str]):
        self.pieces = tokenizer(shape)
        self.added = {name: shape.pieces + n for n, name in enumerate(names)}

    def prompt(self, text: str) -> list[int]:
        ids = [self.pieces.bos_id()]
        for n, part in enumerate(text.split("<|image|>")):
            ids += [IMAGE_ID] * (n > 0) + self.pieces.encode(part)
        return ids

    def example(self, question: str, answer: str) -> tuple[list[int], list[int]]:
        """Ids and labels of a training conversation whose answer ends with `answer` and a full stop."""
        asked = self.prompt(f"{SYSTEM} USER: <|image|>\n{question} ASSISTANT:")
        said = self.pieces.encode(f"The quality of the image is {answer}.")
        if answer in self.added:
            said = self.pieces.encode("The quality of the image is ") + [self.added[answer], self.inner(".")]
        said = said + [self.pieces.eos_id()]
        return asked + said, [NO_LABEL] * len(asked) + said

    def inner(self, text: str) -> int:
        """The id of a piece that stands within a word."""
        return self.pieces.piece_to_id(text)


def pixels_of(image: Image.Image, side: int) -> tuple[Image.Image, torch.Tensor]:
    """The image padded to a square, and what the model sees of it."""
    longer = max(image.size)
    square = Image.new("RGB", (longer, longer), tuple(int(255 * m) for m in MEAN))
    square.paste(image, ((longer - image.width) // 2, (longer - image.height) // 2))
    seen = np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64) * (1 / 255)
    seen = (seen.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    return square, torch.from_numpy(seen).permute(2, 0, 1).contiguous()
