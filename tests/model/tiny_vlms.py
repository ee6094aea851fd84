"""Tiny random models of published VLM families, in folders laid out as on the hub, each with a tokenizer trained here."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
}
SIGLIP = {
    "model_type": "siglip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
    "vision_use_head": False,
}
CORPUS = [
    "How would you rate the quality of this image? The quality of the image is good.",
    "The quality of the image is bad, poor, fair, good, excel. user assistant User: Assistant: model think",
] * 4

CHATML = """{% for message in messages %}<|im_start|>{{ message['role'] }}
{% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
THINK{% endif %}"""
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
THINK = "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}"
SMOLVLM = """<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:{% for part in message['content'] %}\
{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"""
GEMMA = """{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}
{% for part in message['content'] %}{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}{% endif %}\
{% endfor %}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""


def chatml(image: str, think: str = "") -> str:
    return CHATML.replace("IMAGE", image).replace("THINK", think)


def tokenizer(special: list[str], chat_template: str, **named: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on CORPUS; `named` are special tokens that a processor asks the tokenizer for by name."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=list(dict.fromkeys(special)),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, extra_special_tokens=named, chat_template=chat_template)


def qwen(model_type: str, tied: bool, vision: dict, text: dict, patch: int, image_processor: str, think: str = ""):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    words = tokenizer([*special, "<|video_pad|>"], chatml(QWEN_IMAGE, think))
    words.eos_token, words.pad_token = "<|im_end|>", "<|endoftext|>"
    ids = words.convert_tokens_to_ids
    config = {
        "model_type": model_type,
        "tie_word_embeddings": tied,
        "image_token_id": ids("<|image_pad|>"),
        "video_token_id": ids("<|video_pad|>"),
        "vision_start_token_id": ids("<|vision_start|>"),
        "vision_end_token_id": ids("<|vision_end|>"),
        "vision_config": {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}
        | {"patch_size": patch, "spatial_merge_size": 2}
        | vision,
        "text_config": TEXT | {"tie_word_embeddings": tied} | text,
    }
    pixels = {
        "image_processor_type": image_processor,
        "patch_size": patch,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "size": {"shortest_edge": (4 * patch) ** 2, "longest_edge": (8 * patch) ** 2},
    }
    return words, config, pixels, {}


def qwen3_5():
    """The family of Q-ReAlign: linear attention in all but every second layer here, embeddings tied as in the 0.8B model."""
    vision = {"num_position_embeddings": 64}
    text = {"layer_types": ["linear_attention", "full_attention"], "head_dim": 16}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}}
    text["rope_parameters"] |= {"mrope_interleaved": True, "partial_rotary_factor": 0.5}
    text |= {f"linear_{part}_head_dim": 8 for part in ("key", "value")}
    text |= {f"linear_num_{part}_heads": 2 for part in ("key", "value")}
    return qwen("qwen3_5", True, vision, text, 16, "Qwen2VLImageProcessorFast", THINK)


def qwen2_5_vl():
    """Windows in the vision encoder, embeddings of their own."""
    vision = {"window_size": 56, "fullatt_block_indexes": [1]}
    text = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}}
    return qwen("qwen2_5_vl", False, vision, text, 14, "Qwen2VLImageProcessor")


def smolvlm():
    """Images cut into tiles, a video processor that needs torchvision."""
    tiles = [f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5)]
    special = ["<|im_start|>", "<end_of_utterance>", "<pad>", "<image>", "<fake_token_around_image>", "<global-img>"]
    words = tokenizer([*special, *tiles], SMOLVLM, image_token="<image>", end_of_utterance_token="<end_of_utterance>")
    words.eos_token, words.pad_token, words.bos_token = "<end_of_utterance>", "<pad>", "<|im_start|>"
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = {
        "model_type": "smolvlm",
        "image_token_id": words.convert_tokens_to_ids("<image>"),
        "scale_factor": 2,
        "tie_word_embeddings": False,
        "vision_config": vision | {"image_size": 32, "patch_size": 8},
        "text_config": TEXT | {"model_type": "llama", "tie_word_embeddings": False},
    }
    pixels = {
        "image_processor_type": "SmolVLMImageProcessor",
        "size": {"longest_edge": 64},
        "max_image_size": {"longest_edge": 32},
    }
    return words, config, pixels, {"image_seq_len": 4}


def llava_onevision():
    """Images in tiles of the best of several resolutions; how many tokens they take depends on their proportions."""
    words = tokenizer(["<|im_start|>", "<|im_end|>", "<pad>", "<image>", "<video>"], chatml("<image>\n"))
    words.eos_token, words.pad_token = "<|im_end|>", "<pad>"
    pinpoints = [[28, 28], [28, 56], [56, 28], [56, 56]]
    config = {
        "model_type": "llava_onevision",
        "image_token_index": words.convert_tokens_to_ids("<image>"),
        "video_token_index": words.convert_tokens_to_ids("<video>"),
        "image_grid_pinpoints": pinpoints,
        "tie_word_embeddings": True,
        "vision_config": SIGLIP | {"image_size": 28, "patch_size": 7},
        "text_config": TEXT | {"model_type": "qwen2", "tie_word_embeddings": True},
    }
    pixels = {
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "size": {"height": 28, "width": 28},
        "image_grid_pinpoints": pinpoints,
    }
    return words, config, pixels, {"num_image_tokens": 16, "vision_feature_select_strategy": "full"}


def internvl():
    """A prompt padded on the left by its own processor, absolute positions in the vision encoder."""
    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    special = ["<|im_start|>", "<|im_end|>", "<pad>", "<video>", *named.values()]
    words = tokenizer(special, chatml("<IMG_CONTEXT>\n"), video_token="<video>", **named)
    words.eos_token, words.pad_token = "<|im_end|>", "<pad>"
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = {
        "model_type": "internvl",
        "image_token_id": words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        "image_seq_length": 4,
        "tie_word_embeddings": False,
        "vision_config": vision | {"image_size": [28, 28], "patch_size": [7, 7]},
        "text_config": TEXT | {"model_type": "qwen2", "tie_word_embeddings": False},
    }
    pixels = {
        "image_processor_type": "GotOcr2ImageProcessor",
        "size": {"height": 28, "width": 28},
        "crop_to_patches": True,
        "min_patches": 1,
        "max_patches": 4,
    }
    return words, config, pixels, {"image_seq_length": 4}


def gemma3():
    """Images attended to in both directions, a template that begins with <bos>."""
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"]
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    words = tokenizer([*special, "<image_soft_token>"], GEMMA, **named)
    words.eos_token, words.pad_token, words.bos_token = "<eos>", "<pad>", "<bos>"
    bos = ("<bos>", words.convert_tokens_to_ids("<bos>"))  # the tokenizer writes it too, unless it is told not to
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[bos])
    ids = words.convert_tokens_to_ids
    text = {"model_type": "gemma3_text", "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
    config = {
        "model_type": "gemma3",
        "mm_tokens_per_image": 4,
        "boi_token_index": ids("<start_of_image>"),
        "eoi_token_index": ids("<end_of_image>"),
        "image_token_index": ids("<image_soft_token>"),
        "tie_word_embeddings": True,
        "vision_config": SIGLIP | {"image_size": 28, "patch_size": 7},
        "text_config": TEXT | text | {"query_pre_attn_scalar": 8},
    }
    pixels = {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 28, "width": 28}}
    return words, config, pixels, {"image_seq_length": 4}


FAMILIES: dict[str, Callable] = {
    make.__name__: make for make in (qwen3_5, qwen2_5_vl, smolvlm, llava_onevision, internvl, gemma3)
}
PADDED = ("qwen3_5", "gemma3")  # more embedding rows than the tokenizer has words, as the published ones


def write_vlm(folder: Path, family: str) -> Path:
    """A tiny random model of `family` in `folder`."""
    words, settings, pixels, processor = FAMILIES[family]()
    size = len(words) + (40 if family in PADDED else 0)
    settings["text_config"] |= {"vocab_size": size}
    settings["text_config"] |= {
        f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("pad", "bos", "eos")
    }
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(**settings))
    enliven(model)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    (folder / "processor_config.json").write_text(json.dumps(processor))
    return folder


@torch.no_grad()
def enliven(model: PreTrainedModel) -> None:
    """Weights wide enough that an image's content reaches the logits: as transformers draws them they hardly differ."""
    for parameter in model.parameters():
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            torch.nn.init.normal_(parameter, std=fan_in**-0.5)
