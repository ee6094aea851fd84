"""A processor for still images, put together from the parts in a model's folder, without torchvision.

transformers builds a family's processor from a tokenizer, an image processor and, for most families, a video processor; the
video processors need torchvision, so AutoProcessor refuses whole families on a machine without it. Here the family's own
processor class is used with its video part left empty: what it does with an image and a text is unchanged.
"""

from inspect import signature
from pathlib import Path

from transformers import AutoImageProcessor, AutoTokenizer, BaseImageProcessor, PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from model.common.errors import ModelLoadError

PARTS = ("tokenizer", "image_processor")


def load_processor(folder: Path, config: PreTrainedConfig, max_pixels: int | None = None) -> ProcessorMixin:
    """The processor of the model in `folder`, for images and text only; it has a chat template. Runs no code from the folder.
    max_pixels: see `cap_pixels`.

    Raises ModelLoadError when there is no such processor or no chat template, and what transformers raises for files that
    cannot be read.
    """
    if type(config) not in PROCESSOR_MAPPING:
        raise ModelLoadError(
            f"{folder} holds a model of type '{config.model_type}', for which transformers has no processor of images and "
            "text: choose another model."
        )
    family = PROCESSOR_MAPPING[type(config)]
    tokenizer = AutoTokenizer.from_pretrained(folder, config=config, local_files_only=True, trust_remote_code=False)
    image_processor = AutoImageProcessor.from_pretrained(
        folder, config=config, backend="pil", local_files_only=True, trust_remote_code=False
    )
    if max_pixels:
        cap_pixels(image_processor, max_pixels)
    settings, _ = family.get_processor_dict(str(folder), local_files_only=True)
    processor = assemble(family, tokenizer, image_processor, settings)
    if not (processor.chat_template or tokenizer.chat_template):
        raise ModelLoadError(
            f"{folder} has no chat template (chat_template.jinja), so it is not a model that can be asked: "
            "choose its instruct or chat version."
        )
    return processor


def cap_pixels(image_processor: BaseImageProcessor, most: int) -> None:
    """Lower to `most` the pixels that an image processor of dynamic resolution leaves of an image; it shrinks larger ones and keeps
    their proportions. One of fixed resolution, or that cuts an image into a bounded number of tiles, stays as it is.

    Dynamic ones (Qwen-VL, GLM-V and their kin) merge patches into tokens, and call the area that they allow `longest_edge`.
    """
    size = dict(image_processor.size or {})
    if hasattr(image_processor, "merge_size") and size.get("longest_edge"):
        image_processor.size = size | {"longest_edge": min(size["longest_edge"], most)}


def assemble(family: type[ProcessorMixin], tokenizer, image_processor, settings: dict) -> ProcessorMixin:
    """An object of the processor class `family` without its parts for video and sound; `settings` as in processor_config.json."""

    class StillProcessor(family):
        def check_argument_for_proper_class(self, argument_name, argument):
            if argument is None and argument_name not in PARTS:
                return type(None)
            return super().check_argument_for_proper_class(argument_name, argument)

    parts = dict.fromkeys(StillProcessor.get_attributes()) | {
        "tokenizer": tokenizer,
        "image_processor": image_processor,
    }
    known = signature(family.__init__).parameters.keys() - parts.keys()
    return StillProcessor(**parts, **{name: value for name, value in settings.items() if name in known})
