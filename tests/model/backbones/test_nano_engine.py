"""nano's encoder through OpenVINO gives torch's scores, and stands back where it cannot: gradients, half precision."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from model.backbones.nano.engine import compile_encoder
from model.scoring.scorer import load_scorer

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def scorer():
    return load_scorer("nano", device="cpu")


@pytest.fixture(scope="module")
def images():
    return [Image.effect_noise(size, 40).convert("RGB") for size in ((640, 480), (96, 800), (640, 480))]


def scores(scorer, images):
    return [assessment.score for assessment in scorer.assess(images)]


def test_scores_are_those_of_torch_whatever_the_shape_and_the_batch(scorer, images):
    assert scorer.backbone.engine == "openvino"
    found = scores(scorer, images)
    with scorer.backbone.on_torch():
        assert scorer.backbone.engine == "torch"
        expected = scores(scorer, images)
    assert scorer.backbone.engine == "openvino"
    assert found == pytest.approx(expected, abs=1e-4)


def test_two_threads_at_once_get_their_own_scores(scorer, images):
    expected = [scores(scorer, [image])[0] for image in images[:2]]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda n: scores(scorer, [images[n % 2]])[0], range(6)))
    assert found == pytest.approx(expected * 3, abs=1e-6)


def test_half_precision_is_torchs():
    assert load_scorer("nano", device="cpu", dtype="bfloat16").backbone.engine == "torch"


def test_gradients_reach_the_encoder_and_fine_tuning_sees_the_same_image_tokens(scorer, images):
    backbone = scorer.backbone
    prepared = backbone.prepare(images[1])
    frozen = backbone.encode(images[1]).rows
    tokens = backbone.image_tokens([prepared])
    tokens.sum().backward()
    assert backbone.model.encoder.stem.weight.grad is not None
    backbone.model.zero_grad(set_to_none=True)
    torch.testing.assert_close(frozen, tokens[0].detach(), atol=1e-5, rtol=0)


def test_the_first_blocks_alone_give_what_the_encoder_gives_of_them(scorer):
    encoder, pixels = scorer.backbone.model.encoder, torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        x, taps = encoder.early(pixels, 11)
        whole = encoder(pixels)
    for found, expected in zip(compile_encoder(encoder, 11)(pixels), [x, *taps], strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    for found, expected in zip(compile_encoder(encoder)(pixels), whole, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
