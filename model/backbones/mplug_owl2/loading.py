"""Loads an mPLUG-Owl2 model from a published layout: built on the meta device, then filled tensor by tensor."""

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.layouts import CONFIG, IGNORED, POSITIONS, Layout, Lora, Piece, find_layout
from model.backbones.mplug_owl2.network import MplugOwl2Config, MplugOwl2Model
from model.backbones.mplug_owl2.processor import ADDED, TOKENIZER, MplugOwl2Processor
from model.backbones.mplug_owl2.quantization import is_quantized, quantized_linear
from model.backbones.mplug_owl2.vision import AbstractorAttention
from model.backbones.peft_files import check_belongs, wrap
from model.backbones.spec import Spec
from model.backbones.weight_files import check_tensors
from model.common.allocator import give_back_freed_memory
from model.common.devices import BITS, large_dtype
from model.common.errors import ModelLoadError, first_line
from model.common.memory import check_memory, free_memory, load_in_turn
from model.common.progress import LOADING, Progress

if TYPE_CHECKING:
    from peft import PeftModel


EMBEDDING = "model.embed_tokens.weight"
GIVE_BACK = 2**26  # numbers loaded, after which freed memory is returned to the system
REGRESSOR = re.compile(r"deepmlp\.model\.(\d+)\.linear\.weight$")


def load(
    spec: Spec, device: torch.device, dtype: str, trainable: bool = False, progress: Progress | None = None
) -> MplugOwl2Backbone:
    """See `Loading` in model/backbones/contract.py."""
    check_belongs(spec)
    layout = find_layout(spec.adapter, spec.base) if spec.adapter else find_layout(spec.base)
    bits, report = BITS.get(dtype), partial(progress, LOADING) if progress else None
    with load_in_turn(progress):
        model, processor = load_model(
            layout, large_dtype(device, dtype), device, bits, merge=not trainable, progress=report
        )
    if not trainable:
        return MplugOwl2Backbone(model, processor, layout=layout)
    from model.backbones.mplug_owl2.adapting import check_rows

    check_rows(layout, model, processor)
    adapted = attach_lora(model, layout.lora, trainable=True) if layout.lora else None
    return MplugOwl2Backbone(model, processor, layout=layout, adapted=adapted)


def check_adaptable(spec: Spec, dtype: str) -> None:
    """All are adaptable, in every training dtype."""


def load_model(
    layout: Layout,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    bits: int | None = None,
    merge: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[MplugOwl2Model, MplugOwl2Processor]:
    """The model of a layout, in eval mode, and its processor. At most the model and one tensor are in memory.

    bits: quantize the LLM's layers to 8 or 4 bits (see quantization.py), computing in `dtype`; for inference only. merge: add the layout's
    LoRA to the weights, in float32, before rounding to `dtype`; else ignore it (see `attach_lora`). progress: called with the numbers
    loaded and in total; an exception that it raises cancels the loading. Raises ModelLoadError for a tensor that is missing, unexpected or
    of the wrong shape, and, before loading, TooLittleMemory.
    """
    processor = load_processor(layout)
    model = empty_model(complete_config(layout, processor))
    check_fit(layout, model, processor)
    lora = layout.lora.pairs if layout.lora and merge else {}
    places = model.state_dict()
    total, done, since = sum(tensor.numel() for tensor in places.values()), 0, 0
    check_memory(str(layout.folder), sizes(places, dtype), choice(dtype, bits), free_memory(device), str(device))
    files = dict.fromkeys(piece.file for name in places for piece in layout.pieces.get(name, [])[:1])
    for file in files:
        for name, tensor in places.items():
            if name in layout.pieces and layout.pieces[name][0].file is file:
                value = assemble(layout.pieces[name], tensor.shape)
                if name in lora:
                    a, b = (piece.read().float() for piece in lora[name])
                    value = value.float() + layout.lora.scaling * (b @ a)
                if bits and is_quantized(name, tensor.shape, bits):
                    place(model, name.removesuffix(".weight"), quantized_linear(value, bits, device, dtype))
                else:
                    place(model, name, value.to(device, dtype, copy=True))
                done, since = done + tensor.numel(), since + tensor.numel()
                if since > GIVE_BACK:
                    give_back_freed_memory()
                    since = 0
                if progress:
                    progress(done, total)
        file.close()
    compute_positions(model, layout, dtype, device)
    give_back_freed_memory()
    return model.eval(), processor


def attach_lora(model: MplugOwl2Model, lora: Lora, trainable: bool = False) -> "PeftModel":
    """`model` (changed in place), which was loaded with merge=False, with the LoRA attached by PEFT."""
    from peft import LoraConfig

    config = LoraConfig(
        r=lora.config["r"],
        lora_alpha=lora.config["lora_alpha"],
        lora_dropout=lora.config.get("lora_dropout", 0.0),
        target_modules=[name.removesuffix(".weight") for name in lora.pairs],
        inference_mode=not trainable,
    )
    adapted = wrap(model, config)
    with torch.no_grad():
        for name, pair in lora.pairs.items():
            layer = model.get_submodule(name.removesuffix(".weight"))
            for side, piece in zip((layer.lora_A, layer.lora_B), pair, strict=True):
                side["default"].weight.copy_(piece.read())
    return adapted


def load_processor(layout: Layout) -> MplugOwl2Processor:
    """The processor in the folder or, if an adapter has none, in its base, with the adapter's score tokens."""
    folder = layout.folder
    if layout.base and not (folder / TOKENIZER).is_file():
        folder = layout.base
    processor = MplugOwl2Processor.from_pretrained(folder)
    if has_regressor(layout):
        vocab_size = layout.config.get("vocab_size", 32000)
        tokens = score_tokens(layout, processor, vocab_size)
        if not tokens or vocab_size - len(tokens) < processor.vocab_size:
            raise ModelLoadError(
                f"{layout.folder / CONFIG} has a vocabulary of {vocab_size}, and {folder / TOKENIZER} has {processor.vocab_size} pieces, "
                "which leaves no room for score tokens: these files are of different models, so download them again."
            )
        for name, number in tokens.items():
            if not isinstance(number, int) or not processor.vocab_size <= number < vocab_size:
                raise ModelLoadError(
                    f"the score token {name} has the id {number!r}, and {layout.folder / CONFIG} has a vocabulary of {vocab_size}: "
                    f"these files or {ADDED} are of different models, so download them again."
                )
        processor.add_tokens(tokens | processor.added_tokens)
    return processor


def score_tokens(layout: Layout, processor: MplugOwl2Processor, vocab_size: int) -> dict[str, int]:
    """The score tokens' names and ids, worst to best: from config.json, added_tokens.json, or the end of the vocabulary.

    Raises ModelLoadError if config.json does not list them.
    """
    names, ids = (layout.config.get(key) or [] for key in ("score_tokens", "score_token_id"))
    if not isinstance(names, list) or not isinstance(ids, list) or len(set(map(len, filter(None, (names, ids))))) > 1:
        raise ModelLoadError(
            f"{layout.folder / CONFIG}: score_tokens and score_token_id must be two lists of equal length: download it again."
        )
    known = processor.added_tokens
    names = names or sorted((token for token in known if re.fullmatch(r"<score\d+>", token)), key=known.get)
    names = names or [f"<score{n}>" for n in range(1, vocab_size - processor.vocab_size + 1)]
    ids = ids[::-1] or range(vocab_size - len(names), vocab_size)  # in the file the best comes first
    return {name: known.get(name, number) for name, number in zip(names, ids, strict=True)}


def has_regressor(layout: Layout) -> bool:
    return any(name.startswith("deepmlp.") for name in layout.pieces)


def complete_config(layout: Layout, processor: MplugOwl2Processor) -> MplugOwl2Config:
    """The layout's config.json, completed if it is old: the regressor's widths from its tensors, the score tokens' names."""
    settings = dict(layout.config)
    if has_regressor(layout):
        blocks = sorted((int(m[1]), name) for name in layout.pieces if (m := REGRESSOR.match(name)))
        widths = [layout.pieces[name][0].shape[0] for _, name in blocks]
        settings["deepmlp_hidden_dims"] = settings.get("deepmlp_hidden_dims") or widths
        settings["score_tokens"] = list(score_tokens(layout, processor, settings.get("vocab_size", 32000)))
    elif layout.lora and settings.get("vocab_size", 0) > processor.vocab_size:
        raise ModelLoadError(
            f"{layout.folder} has score tokens and lacks deepmlp.output_layer.weight, the regressor: download its weights again."
        )
    try:
        config = MplugOwl2Config.from_dict(settings)
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelLoadError(f"{layout.folder / CONFIG} cannot be used: {first_line(error)}.") from error
    if processor.side != config.vision.image_size:
        raise ModelLoadError(
            f"{layout.folder / CONFIG} is for images of {config.vision.image_size} pixels a side, but the preprocessor_config.json "
            f"beside the tokenizer has {processor.side}: these files are of different models, so download them again."
        )
    return config


def empty_model(config: MplugOwl2Config) -> MplugOwl2Model:
    """A model on the meta device."""
    with torch.device("meta"):
        return MplugOwl2Model(config)


def check_fit(layout: Layout, model: MplugOwl2Model, processor: MplugOwl2Processor) -> None:
    """Raises ModelLoadError, naming the tensor, when one is unexpected, missing, or of another shape than the model's."""
    places = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    other = ": weights and config.json do not belong together" + (
        ", or the adapter is for another base." if layout.base else "."
    )
    for name, pieces in layout.pieces.items():
        first = pieces[0]
        if name not in places and not IGNORED.search(name):
            raise ModelLoadError(f"{first.file.path} has an unexpected tensor: {first.name}{other}")
        if name in places and stacked_shape(pieces) != places[name] and not may_grow(name, pieces, places[name]):
            raise ModelLoadError(
                f"{pieces[-1].file.path} has {pieces[-1].name} of shape {list(stacked_shape(pieces))}, "
                f"but the model needs {list(places[name])}{other}"
            )
    missing = [name for name in places if name not in layout.pieces and not POSITIONS.search(name)]
    check_tensors(layout.folder, missing=missing)
    for name, (a, b) in (layout.lora.pairs if layout.lora else {}).items():
        if (b.shape[0], a.shape[1]) != places.get(name):
            raise ModelLoadError(
                f"{b.file.path} updates {name} as [{b.shape[0]}, {a.shape[1]}], but the base has "
                f"{list(places[name]) if name in places else 'no such weight'}: use the adapter's own base."
            )


def stacked_shape(pieces: list[Piece]) -> tuple[int, ...]:
    if len(pieces) == 1:
        return pieces[0].shape
    return (sum(piece.shape[0] for piece in pieces), *pieces[0].shape[1:])


def may_grow(name: str, pieces: list[Piece], shape: tuple[int, ...]) -> bool:
    """Whether these are a base's embeddings without rows for the score tokens: these are outputs, never inputs, so any values will do."""
    found = stacked_shape(pieces)
    return name == EMBEDDING and len(found) == 2 and found[0] < shape[0] and found[1] == shape[1]


def assemble(pieces: list[Piece], shape: torch.Size) -> torch.Tensor:
    """The concatenated pieces; missing rows of embeddings are filled with the mean of the others."""
    value = torch.cat([piece.read() for piece in pieces]) if len(pieces) > 1 else pieces[0].read()
    if not value.is_floating_point():
        raise ModelLoadError(
            f"{pieces[0].file.path} has {pieces[0].name} as integers ({value.dtype}): use a model whose weights are not quantized."
        )
    if len(value) < shape[0]:
        mean = value.mean(0, keepdim=True, dtype=torch.float32).to(value.dtype)
        value = torch.cat([value, mean.expand(shape[0] - len(value), -1)])
    return value


def choice(dtype: torch.dtype, bits: int | None) -> str:
    """The value of --dtype for a way of loading."""
    return f"{bits}bit" if bits else str(dtype).removeprefix("torch.")


def sizes(places: dict[str, torch.Tensor], dtype: torch.dtype = torch.bfloat16) -> dict[str, float]:
    """Bytes of the whole model by --dtype, largest first. dtype: of tensors that are not quantized."""
    full = sum(tensor.numel() for tensor in places.values())
    found = {choice(kind, None): float(full * kind.itemsize) for kind in (torch.float32, torch.bfloat16, torch.float16)}
    for bits in BITS.values():
        layers = sum(tensor.numel() for name, tensor in places.items() if is_quantized(name, tensor.shape, bits))
        found[choice(torch.bfloat16, bits)] = layers * bits / 8 + (full - layers) * dtype.itemsize
    return found


def place(model: nn.Module, name: str, value: torch.Tensor | nn.Module) -> None:
    """Set the parameter, buffer or module `name` to `value`."""
    owner, _, last = name.rpartition(".")
    module = model.get_submodule(owner)
    if isinstance(value, nn.Module):
        module._modules[last] = value
    elif last in module._buffers:
        module._buffers[last] = value
    else:
        module._parameters[last] = nn.Parameter(value)


def compute_positions(model: MplugOwl2Model, layout: Layout, dtype: torch.dtype, device: str | torch.device) -> None:
    """Compute the abstractor's position tables that no file has."""
    for path, module in model.named_modules():
        if isinstance(module, AbstractorAttention):
            for name, table in module.computed_positions().items():
                if f"{path}.{name}" not in layout.pieces:
                    place(model, f"{path}.{name}", table.to(device, dtype))
