"""The nano backbone: sizes, round trips, and that an image's answer does not depend on its company."""

import pytest
import torch
from PIL import Image

from model.backbones.nano.network import (
    IMAGE_TOKENS,
    NanoConfig,
    NanoModel,
    NanoProcessor,
    build_tokenizer,
    target_size,
)
from model.loading.known import SHIPPED
from tests.model.tiny import enliven


@pytest.fixture(scope="module")
def processor() -> NanoProcessor:
    return NanoProcessor(build_tokenizer(), side=96)


@pytest.fixture(scope="module")
def model(processor) -> NanoModel:
    torch.manual_seed(0)
    config = NanoConfig(len(processor.tokenizer), 32, 64, 2, 2, regressor_widths=(16,))
    model = NanoModel(config).eval()
    enliven(model)
    return model


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [
        Image.effect_noise((200, 150), 60).convert("RGB"),
        Image.linear_gradient("L").resize((200, 150)).convert("RGB"),
    ]


@torch.inference_mode()
def answer(model: NanoModel, processor: NanoProcessor, images: list[Image.Image]):
    pixels = torch.stack([processor.pixels(image) for image in images])
    return model(pixels, processor.prompt_ids().expand(len(images), -1))


def test_a_batch_answers_each_image_as_alone(model, processor, images):
    together = answer(model, processor, images)
    for row, image in enumerate(images):
        alone = answer(model, processor, [image])
        torch.testing.assert_close(together.logits[row : row + 1], alone.logits, atol=1e-5, rtol=0)
        torch.testing.assert_close(together.hidden[row : row + 1], alone.hidden, atol=1e-5, rtol=0)


def test_different_images_get_different_answers(model, processor, images):
    logits = answer(model, processor, images).logits
    assert (logits[0] - logits[1]).abs().max() > 1e-4


def test_what_was_saved_answers_the_same_when_loaded(model, processor, images, tmp_path):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, report = NanoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    processor_again = NanoProcessor.from_pretrained(tmp_path)
    assert processor_again.side == processor.side
    assert torch.equal(processor_again.prompt_ids(), processor.prompt_ids())
    expected = answer(model, processor, images)
    found = answer(again.eval(), processor_again, images)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-6, rtol=0)


def test_later_words_do_not_change_what_was_predicted_before_them(model, processor, images):
    pixels = processor.pixels(images[0])[None]
    with torch.inference_mode():
        short = model(pixels, processor.prompt_ids()[None])
        long = model(pixels, processor.prompt_ids("<score3> . <eos>")[None])
    torch.testing.assert_close(short.logits, long.logits[:, : short.logits.shape[1]], atol=1e-5, rtol=0)


def test_every_word_of_prompt_and_answer_is_in_the_vocabulary(processor):
    ids = processor.prompt_ids("<score1> <score5> bad excellent . <eos>")
    assert processor.tokenizer.unk_token_id not in ids
    assert (ids == processor.tokenizer.convert_tokens_to_ids("<image>")).sum() == IMAGE_TOKENS


@pytest.mark.parametrize("size", [(512, 512), (1024, 768), (300, 2000), (4000, 3000), (20, 600)])
def test_images_are_resized_to_one_area_in_their_aspect_ratio(size):
    width, height = target_size(*size, 320)
    assert width % 32 == height % 32 == 0
    assert width * height == pytest.approx(320 * 320, rel=0.25)
    if max(size) / min(size) < 2:
        assert width / height == pytest.approx(size[0] / size[1], rel=0.15)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_model_has_under_twenty_million_parameters(name):
    model = NanoModel.from_pretrained(SHIPPED[name])
    assert sum(p.numel() for p in model.parameters()) < 20e6


def test_a_flat_image_has_finite_gradients(model, processor):
    flat = processor.pixels(Image.new("RGB", (96, 96), "grey"))[None]
    model(flat, processor.prompt_ids()[None]).logits.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    model.zero_grad()
