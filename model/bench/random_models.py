"""Models with random weights in the shapes of published ones, to measure speed without the weights.

nano   the shape of the shipped nano (model/backbones/nano/network.py)
mid    Q-Scorer on a small mPLUG-Owl2: ViT 12 x 512 at 448 pixels, LLM 8 x 1024
7b     Q-Scorer on the full mPLUG-Owl2: ViT 24 x 1024 at 448 pixels, LLM 32 x 4096, 8.2 billion parameters
0.8b   Q-ReAlign on a Qwen3.5 of 0.8 billion parameters, similar to Q-ReAlign Mini. Images of more than a megapixel are downscaled. Its
       tokenizer has a vocabulary of few words, so its prompt is some tokens longer than the real one
"""

from collections.abc import Callable

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as tokenizer_models
from torch import nn

from model.backbones.contract import Backbone
from model.backbones.mplug_owl2.backbone import SCORE_SCALE, MplugOwl2Backbone
from model.backbones.mplug_owl2.network import IMAGE_ID, MplugOwl2Config, MplugOwl2Model
from model.backbones.mplug_owl2.pixels import MplugOwl2Pixels
from model.backbones.mplug_owl2.prompts import prompt_text
from model.backbones.mplug_owl2.vision import AbstractorAttention
from model.backbones.nano.backbone import NanoBackbone
from model.backbones.nano.network import SCORE_TOKENS, NanoConfig, NanoModel, NanoProcessor, build_tokenizer
from model.backbones.vlm.backbone import VlmBackbone
from model.backbones.vlm.settings import Q_REALIGN
from model.common.devices import large_dtype
from model.common.memory import check_numbers

# Of the published LLaMA tokenizer: the ids of prompt_text("quality"), of the piece before a score token, and of the score tokens.
PROMPT_IDS = (
    *(1, 3148, 1001, 29901, 1128, 723, 366, 6554, 278, 11029, 310, 445, 1967, 29973, 13),
    IMAGE_ID,
    *(29871, 13, 22933, 9047, 13566, 29901, 450, 11029, 310, 278, 1967, 338),
)
BARE_PREFIX_ID = 29871
SCORE_TOKEN_IDS = {f"<score{n}>": 31999 + n for n in range(1, 6)}

OWL_7B = {
    "vocab_size": 32005,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "deepmlp_hidden_dims": (2048, 1024),
    "score_tokens": tuple(SCORE_TOKEN_IDS),
}
OWL_MID = OWL_7B | {
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "deepmlp_hidden_dims": (512, 256),
    "visual_config": {
        "visual_model": {
            "hidden_size": 512,
            "intermediate_size": 2048,
            "num_hidden_layers": 12,
            "num_attention_heads": 8,
        },
        "visual_abstractor": {
            "hidden_size": 512,
            "encoder_hidden_size": 512,
            "intermediate_size": 1408,
            "num_attention_heads": 8,
        },
    },
}
QWEN_TEXT = {
    "hidden_size": 1024,
    "intermediate_size": 3584,
    "num_hidden_layers": 24,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 16,
    "vocab_size": 248320,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1e7,
        "mrope_section": [11, 11, 10],
        "mrope_interleaved": True,
        "partial_rotary_factor": 0.25,
    },
}
QWEN_VISION = {"depth": 12, "hidden_size": 768, "intermediate_size": 3072, "num_heads": 12, "out_hidden_size": 1024}
QWEN_PIXELS = {"shortest_edge": 256 * 256, "longest_edge": 1024 * 1024}
QWEN_WORDS = "How would you rate the quality of this image? The quality of the image is bad poor fair good excellent"
QWEN_SPECIAL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class PublishedIds(MplugOwl2Pixels):
    """Replaces mPLUG-Owl2's processor where there is no tokenizer.model: the ids of one published prompt, hard-coded."""

    def ids(self, text: str) -> list[int]:
        if text != prompt_text("quality"):
            raise ValueError("without a tokenizer.model, only the quality prompt with a newline is available")
        return list(PROMPT_IDS)

    def token_id(self, name: str) -> int:
        return SCORE_TOKEN_IDS[name]

    def bare_prefix_id(self) -> int:
        return BARE_PREFIX_ID


def random_nano(device: torch.device, dtype: torch.dtype | None) -> NanoBackbone:
    """A nano in the shape of the shipped one."""
    processor = NanoProcessor(build_tokenizer())
    readout = {"kind": "score_token", "tokens": list(SCORE_TOKENS), "scale": [1.0, 5.0]}
    config = NanoConfig(vocab_size=len(processor.tokenizer), regressor_widths=(128, 64), readout=readout)
    model = NanoModel(config).to(device, dtype or torch.float32)
    draw(model)
    nn.init.constant_(model.regressor.output.bias, 3.0)
    model.encoder.to(memory_format=torch.channels_last)
    return NanoBackbone(model, processor)


def random_owl(config: MplugOwl2Config, device: torch.device, dtype: torch.dtype | None) -> MplugOwl2Backbone:
    """A Q-Scorer of the sizes in `config`. Raises TooLittleMemory if it does not fit into memory."""
    dtype = dtype or large_dtype(device)
    with torch.device("meta"):
        model = MplugOwl2Model(config).to(dtype)
    check_room(model, dtype, device)
    model = model.to_empty(device=device)
    draw(model)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
    for module in model.modules():
        if isinstance(module, AbstractorAttention):
            for name, table in module.computed_positions().items():
                getattr(module, name).copy_(table)
    nn.init.constant_(model.deepmlp.output_layer.bias, SCORE_SCALE.middle)
    return MplugOwl2Backbone(model, PublishedIds(config.vision.image_size))


def random_vlm(text: dict, vision: dict, pixels: dict, device: torch.device, dtype: torch.dtype | None) -> VlmBackbone:
    """A Qwen3.5 of these sizes with tied embeddings and Q-ReAlign's readout. Raises TooLittleMemory if it does not fit into memory."""
    from transformers import AutoModelForImageTextToText, Qwen3_5Config, Qwen3VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from model.backbones.vlm.processor import assemble

    dtype = dtype or large_dtype(device)
    tokenizer = few_words()
    config = Qwen3_5Config(
        text_config=text | {"tie_word_embeddings": True},
        vision_config=vision,
        tie_word_embeddings=True,
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    )
    with torch.device("meta"):
        check_room(AutoModelForImageTextToText.from_config(config), dtype, device)
    torch.manual_seed(0)  # for the biases, which `draw` does not set
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    draw(model)
    images = Qwen2VLImageProcessorPil(patch_size=16, temporal_patch_size=2, merge_size=2, size=pixels)
    return VlmBackbone(model.eval(), assemble(Qwen3VLProcessor, tokenizer, images, {}), Q_REALIGN)


def few_words():
    """A byte-level tokenizer trained on the prompt and the level words, with a simple chat template."""
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(tokenizer_models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=list(QWEN_SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([QWEN_WORDS] * 2, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=CHATML
    )


def check_room(model: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Raises TooLittleMemory if the weights of `model` (on the meta device) exceed the device's free memory."""
    check_numbers("this shape", sum(p.numel() for p in model.parameters()), dtype, device)


@torch.no_grad()
def draw(model: nn.Module) -> None:
    """Set random weights with a std large enough that scores depend on the image; with the default initialisation they hardly do."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)


RANDOM: dict[str, Callable[[torch.device, torch.dtype | None], Backbone]] = {
    "7b": lambda device, dtype: random_owl(MplugOwl2Config(**OWL_7B), device, dtype),
    "0.8b": lambda device, dtype: random_vlm(QWEN_TEXT, QWEN_VISION, QWEN_PIXELS, device, dtype),
    "mid": lambda device, dtype: random_owl(MplugOwl2Config(**OWL_MID), device, dtype),
    "nano": random_nano,
}
