"""A processor for still images, put together from the parts in a model's folder, without torchvision.

transformers builds a family's processor from a tokenizer, an image processor and, for most families, a video processor; the
video processors need torchvision, so AutoProcessor refuses whole families on a machine without it. Here the family's own
processor class is used with its video part left empty: what it does with a picture and a text is unchanged.
"""

from inspect import signature
from pathlib import Path

from transformers import AutoImageProcessor, AutoTokenizer, PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from model.errors import ModelLoadError

PARTS = ("tokenizer", "image_processor")


def load_processor(folder: Path, config: PreTrainedConfig) -> ProcessorMixin:
    """The processor of the model in `folder`, for pictures and text only; it has a chat template. Runs no code from the folder.

    Raises ModelLoadError when there is no such processor or no chat template, and what transformers raises for files that
    cannot be read.
    """
    if type(config) not in PROCESSOR_MAPPING:
        raise ModelLoadError(
            f"{folder} holds a model of type '{config.model_type}', for which transformers has no processor of pictures and "
            "text: choose another model."
        )
    family = PROCESSOR_MAPPING[type(config)]
    tokenizer = AutoTokenizer.from_pretrained(folder, config=config, local_files_only=True, trust_remote_code=False)
    image_processor = AutoImageProcessor.from_pretrained(
        folder, config=config, backend="pil", local_files_only=True, trust_remote_code=False
    )
    settings, _ = family.get_processor_dict(str(folder), local_files_only=True)
    processor = assemble(family, tokenizer, image_processor, settings)
    if not (processor.chat_template or tokenizer.chat_template):
        raise ModelLoadError(
            f"{folder} has no chat template (chat_template.jinja), so it is not a model that can be asked: "
            "choose its instruct or chat version."
        )
    return processor


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
