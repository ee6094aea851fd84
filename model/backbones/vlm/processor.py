"""A processor for still images, assembled from the parts in a model's folder, without torchvision.

transformers builds a family's processor from a tokenizer, an image processor and, for most families, a video processor. Video processors
need torchvision, so AutoProcessor fails for these families without it. Here the family's processor class is used without its video
processor, which does not change its treatment of images and text.
"""

from inspect import signature
from pathlib import Path

from transformers import AutoImageProcessor, AutoTokenizer, BaseImageProcessor, PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from model.common.errors import ModelLoadError

PARTS = ("tokenizer", "image_processor")


def load_processor(folder: Path, config: PreTrainedConfig, max_pixels: int | None = None) -> ProcessorMixin:
    """The processor of the model in `folder`, for images and text only. Runs no code from the folder. max_pixels: see `cap_pixels`.

    Raises ModelLoadError when there is no such processor or no chat template; transformers' exceptions for invalid files pass through.
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
            f"{folder} has no chat template (chat_template.jinja), so it cannot answer questions: choose its instruct or chat version."
        )
    return processor


def cap_pixels(image_processor: BaseImageProcessor, most: int) -> None:
    """Limit an image processor of dynamic resolution to `most` pixels; it downscales larger images and keeps their aspect ratio.
    Processors of fixed resolution, or with a bounded number of tiles, are not changed.

    Processors of dynamic resolution (Qwen-VL, GLM-V and similar) have a merge_size, and call their maximum area `longest_edge`.
    """
    size = dict(image_processor.size or {})
    if hasattr(image_processor, "merge_size") and size.get("longest_edge"):
        image_processor.size = size | {"longest_edge": min(size["longest_edge"], most)}


def assemble(family: type[ProcessorMixin], tokenizer, image_processor, settings: dict) -> ProcessorMixin:
    """An object of the processor class `family` without video and audio processors; `settings` as in processor_config.json."""

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
