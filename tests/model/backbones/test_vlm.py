"""Any VLM as a backbone: six families, tiny and random, asked and read as the published ones are."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText

from model.backbones.vlm.backbone import VlmBackbone
from model.backbones.vlm.processor import load_processor
from model.backbones.vlm.settings import Q_REALIGN, ZERO_SHOT, VlmReadout
from model.common.errors import ImageError, ModelLoadError
from model.readouts.levels import LEVEL_WORDS
from model.readouts.reading import read_levels
from tests.model.tiny_vlms import FAMILIES, write_vlm

SIZES = [(70, 90), (64, 64), (120, 40), (90, 70), (70, 90)]  # height, width


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def folder(family):
        if family not in made:
            made[family] = write_vlm(tmp_path_factory.mktemp(family), family)
        return made[family]

    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request, folders) -> VlmBackbone:
    return load(folders(request.param))


def load(folder, readout=Q_REALIGN) -> VlmBackbone:
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32").eval()
    return VlmBackbone(model, load_processor(folder, AutoConfig.from_pretrained(folder)), readout)


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    random = np.random.default_rng(1)
    return [Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in SIZES]


def alike(batch):
    """The prepared images in groups that may share a batch."""
    groups = {}
    for image in batch:
        groups.setdefault(image.shape_key, []).append(image)
    return list(groups.values())


def test_a_batch_answers_each_image_as_alone_whatever_it_is_padded_with(backbone, images):
    groups = alike([backbone.prepare(image) for image in images])
    assert max(map(len, groups)) > 2
    for batch in groups:
        hidden, logits = backbone.ask(batch)
        for row, image in enumerate(batch):
            alone = backbone.ask([image])
            torch.testing.assert_close(hidden[row], alone[0][0], atol=1e-5, rtol=0)
            torch.testing.assert_close(logits[row], alone[1][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["qwen3_5", "qwen2_5_vl", "llava_onevision", "internvl"])
def test_images_that_take_different_numbers_of_positions_share_a_batch(folders, images, family):
    backbone = load(folders(family))
    groups = alike([backbone.prepare(image) for image in images])
    assert max(len({image.length for image in batch}) for batch in groups) > 1


@torch.inference_mode()
def test_what_is_read_is_what_the_plain_model_predicts_next(backbone, images):
    """The reference: the family's own forward on the processor's output, all positions, nothing of ours in between."""
    for image in images:
        text, bos = backbone.prompt, backbone.tokenizer.bos_token
        inputs = backbone.processor(
            images=[image], text=[text], add_special_tokens=not (bos and text.startswith(bos)), return_tensors="pt"
        )
        output = backbone.model(**inputs, output_hidden_states=True)
        hidden, logits = backbone.ask([backbone.prepare(image)])
        torch.testing.assert_close(logits, output.logits[:, -1], atol=1e-5, rtol=0)
        torch.testing.assert_close(hidden, output.hidden_states[-1][:, -1], atol=1e-5, rtol=0)


def test_lm_head_sees_one_position_of_each_image(folders, images):
    backbone = load(folders("qwen3_5"))
    seen = []
    backbone.model.lm_head.register_forward_hook(lambda module, arguments, output: seen.append(output.shape))
    backbone.ask([backbone.prepare(image) for image in images])
    assert seen == [(len(images), 1, backbone.model.lm_head.out_features)]


def test_different_images_get_different_answers(backbone, images):
    first, second = (backbone.ask([backbone.prepare(image)])[1] for image in images[:2])
    assert (first - second).abs().max() > 1e-2


def test_threads_prepare_and_score_as_one_does(folders, images):
    backbone = load(folders("qwen2_5_vl"))

    def score(image):
        return backbone.ask([backbone.prepare(image)])[1]

    expected = [score(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(score, images * 4))
    for number, logits in enumerate(found):
        torch.testing.assert_close(logits, expected[number % len(images)], atol=1e-6, rtol=0)


def test_q_realign_is_asked_as_its_authors_ask_it(folders):
    backbone = load(folders("qwen3_5"))
    question = "How would you rate the quality of this image?"
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    text = backbone.processor.apply_chat_template(messages, add_generation_prompt=True)
    assert backbone.prompt == text + "The quality of the image is"


def test_the_models_own_template_asks_and_the_stem_begins_the_answer(folders):
    assert load(folders("qwen3_5")).prompt == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>How would you rate the quality of this image?<|im_end|>\n"
        "<|im_start|>assistant\n<think>\nThe quality of the image is"
    )
    assert load(folders("qwen3_5"), ZERO_SHOT).prompt.endswith(
        "assistant\n<think>\n\n</think>\n\nThe quality of the image is"
    )
    assert load(folders("smolvlm")).prompt.endswith("Assistant: The quality of the image is")


def test_a_template_that_writes_bos_gets_no_second_one(folders, images):
    backbone = load(folders("gemma3"))
    ids = backbone.prepare(images[0]).text["input_ids"][0]
    assert (ids == backbone.tokenizer.bos_token_id).sum() == 1


def test_an_image_that_the_model_refuses_is_an_image_error(folders):
    with pytest.raises(ImageError, match="this model refuses an image of 3000 x 1 pixels: absolute aspect ratio"):
        load(folders("qwen3_5")).prepare(Image.new("RGB", (3000, 1)))


def test_level_words_are_read_by_their_first_piece_behind_a_space(backbone):
    assert backbone.readout.tokens == LEVEL_WORDS
    assert backbone.pieces == (" bad", " poor", " fair", " good", " excel")  # the tokenizers here never saw "excellent"
    assert backbone.tokenizer.decode(backbone.stem_ids).strip() == "The quality of the image is"


def test_words_that_begin_with_the_same_piece_are_refused(folders):
    with pytest.raises(ModelLoadError, match="start with the same piece"):
        load(folders("qwen3_5"), VlmReadout("level", ("excellent", "excellence"), (0.0, 1.0)))


def test_q_realign_weighs_the_words_from_0_to_1_and_zero_shot_from_1_to_5(folders, images):
    backbone = load(folders("qwen3_5"))
    _, logits = backbone.ask([backbone.prepare(images[0])])
    ids = [backbone.tokenizer(f" {word}").input_ids[0] for word in ("excellent", "good", "fair", "poor", "bad")]
    score = (logits[0, ids].softmax(0) * torch.tensor([1, 0.75, 0.5, 0.25, 0])).sum()
    assert Q_REALIGN.scale == (0.0, 1.0) and ZERO_SHOT.scale == (1.0, 5.0)
    for scale, expected in ((Q_REALIGN.scale, score), (ZERO_SHOT.scale, 1 + 4 * score)):
        assert read_levels(logits, backbone.readout.token_ids, scale).score.item() == pytest.approx(
            expected.item(), abs=1e-5
        )
