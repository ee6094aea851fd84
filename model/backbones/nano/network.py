"""nano: a multimodal LLM small enough to ship with the code and to score images on a laptop's CPU.

    image [3, H, W] --LiteEncoder--> four feature maps --NanoConnector--> 20 image tokens of the decoder's width
    image tokens + words of the prompt --LlamaModel--> hidden states --lm_head--> logits over a vocabulary of words,
    level words and score tokens

Its readouts are the same as a 7B backbone's: they use only `hidden` and `logits` at the last position of the prompt. Q-Scorer regresses
from that hidden state, Q-Align reads five of those logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    LlamaConfig,
    LlamaModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)
from transformers.utils import ModelOutput

from model.backbones.nano.connector import IMAGE_TOKENS, NanoConnector, summarise
from model.backbones.nano.encoder import LiteEncoder
from model.common.scale import Scale
from model.readouts.levels import LEVEL_WORDS, score_tokens
from model.readouts.regressor import build_regressor

PROMPT = "How would you rate the quality of this image ?"
STEM = "The quality of the image is"
SCORE_TOKENS = score_tokens(5)
IMAGE_TOKEN, BOS, EOS, PAD, UNK = "<image>", "<bos>", "<eos>", "<pad>", "<unk>"
READOUT = "readout.json"  # of an adapter: the readout that it was trained with
SIDE = 384  # pixels; images are resized to an area of SIDE x SIDE


class NanoConfig(PreTrainedConfig):
    """Sizes of the decoder, the regressor's widths (empty: no regressor) and the readout.

    readout: {"kind": "score_token" | "level", "tokens": [worst, ..., best], "scale": [low, high]}.
    """

    model_type = "qscorer_nano"

    def __init__(
        self,
        vocab_size: int = 32,
        hidden_size: int = 256,
        intermediate_size: int = 768,
        num_hidden_layers: int = 3,
        num_attention_heads: int = 4,
        regressor_widths: tuple[int, ...] = (),
        readout: dict | None = None,
        hyper_units: int = 0,
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.regressor_widths = list(regressor_widths)
        self.readout = readout
        self.hyper_units = hyper_units
        super().__init__(**{"tie_word_embeddings": False, **kwargs})

    def decoder_config(self) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            max_position_embeddings=128,
            use_cache=False,
        )


@dataclass
class NanoOutput(ModelOutput):
    """hidden [B, T, D] after the final norm, logits [B, T, V]; position t predicts token t + 1."""

    hidden: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class NanoModel(PreTrainedModel):
    """Encoder, connector, decoder, lm_head and, if the config has its widths, Q-Scorer's regressor."""

    config_class = NanoConfig
    base_model_prefix = ""
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["LlamaDecoderLayer"]

    def __init__(self, config: NanoConfig):
        super().__init__(config)
        self.encoder = LiteEncoder()
        self.connector = NanoConnector(config.hidden_size)
        self.decoder = LlamaModel(config.decoder_config())
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.regressor_widths:
            self.regressor = build_regressor(config.hidden_size, config.regressor_widths, config.hyper_units)
        self.post_init()

    def set_readout(self, regressed: bool, tokens: Sequence[str], hyper_units: int = 0) -> None:
        """Read other tokens, or by a regressor or none; an equal regressor stays as it is trained. The scale stays."""
        config, scale = self.config, Scale(*self.config.readout["scale"])
        if regressed and (not config.regressor_widths or hyper_units != config.hyper_units):
            config.regressor_widths = config.regressor_widths or [config.hidden_size // 2, config.hidden_size // 4]
            config.hyper_units = hyper_units
            self.regressor = build_regressor(config.hidden_size, config.regressor_widths, hyper_units, scale.middle)
            self.regressor.to(self.lm_head.weight.device)
        kind = "score_token" if regressed else "level"
        config.readout = {"kind": kind, "tokens": list(tokens), "scale": list(scale)}

    def stated_readout(self) -> dict:
        """What an adapter keeps of the readout: of readout.json."""
        return self.config.readout | {"hyper_units": self.config.hyper_units}

    def get_input_embeddings(self) -> nn.Module:
        return self.decoder.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.decoder.embed_tokens = value

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, value: nn.Module) -> None:
        self.lm_head = value

    def encode(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] to image tokens [B, 20, D]."""
        return self.connector(self.features(pixel_values))

    def features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] to what the connector reads of them [B, WIDTH]."""
        return summarise(self.encoder(pixel_values.contiguous(memory_format=torch.channels_last)))

    def decode(self, image_tokens: torch.Tensor, input_ids: torch.Tensor) -> NanoOutput:
        """Image tokens [B, 20, D] and ids [B, T] (starting with <bos> and 20 times <image>) to hidden states and logits."""
        words = self.get_input_embeddings()(input_ids)
        embeds = torch.cat([words[:, :1], image_tokens.to(words.dtype), words[:, 1 + IMAGE_TOKENS :]], 1)
        hidden = self.decoder(inputs_embeds=embeds).last_hidden_state
        return NanoOutput(hidden=hidden, logits=self.lm_head(hidden))

    def forward(self, pixel_values: torch.Tensor, input_ids: torch.Tensor) -> NanoOutput:
        return self.decode(self.encode(pixel_values), input_ids)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with one id per word: special tokens, the words of prompt and answer, level words, score tokens."""
    special = [PAD, UNK, BOS, EOS, IMAGE_TOKEN]
    words = dict.fromkeys([*special, *PROMPT.split(), *STEM.split(), ".", *LEVEL_WORDS, *SCORE_TOKENS])
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        additional_special_tokens=[IMAGE_TOKEN],
    )


def target_size(width: int, height: int, side: int) -> tuple[int, int]:
    """The size to which an image is resized: about the area of a `side` x `side` square in the image's aspect ratio, clamped to 16:1; each
    side is a multiple of 32 and at least 64."""
    ratio = min(max(width / height, 1 / 16), 16) ** 0.5
    return max(64, round(side * ratio / 32) * 32), max(64, round(side / ratio / 32) * 32)


class NanoProcessor(ProcessorMixin):
    """Images to pixel tensors, text to ids."""

    def __init__(self, tokenizer=None, side: int = SIDE, **kwargs):
        self.side = side
        super().__init__(tokenizer, **kwargs)

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """An RGB image of any size to [3, H, W] float32, (rgb - 127) / 128, H and W by `target_size`."""
        size = target_size(*image.size, self.side)
        # reducing_gap box-filters large photographs first; at 3 the difference is not visible.
        small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        return (torch.from_numpy(np.array(small, dtype=np.float32)) - 127.0).div_(128.0).permute(2, 0, 1)

    def prompt_ids(self, answer: str = "") -> torch.Tensor:
        """Ids [T] of <bos>, the image's placeholders, the question, the answer's stem, and `answer`."""
        text = " ".join([BOS, *[IMAGE_TOKEN] * IMAGE_TOKENS, PROMPT, STEM, answer])
        return torch.tensor(self.tokenizer.encode(text, add_special_tokens=False))


AutoConfig.register(NanoConfig.model_type, NanoConfig)
AutoModel.register(NanoConfig, NanoModel)
