"""Prompts and pixels of mPLUG-Owl2 against the original programs, with their own tokenizers and with the real one's ids."""

import json

import numpy as np
import pytest
from PIL import Image

from model.backbones.mplug_owl2.network import IMAGE_ID
from model.backbones.mplug_owl2.processor import MplugOwl2Processor
from model.backbones.mplug_owl2.prompts import prompt_text
from model.common.errors import ModelLoadError
from model.readouts.levels import LEVEL_WORDS
from tests.model.owl_fixtures import PROMPT_NAMES, QALIGN, QSCORER, common, facts, image_files, tensors

REAL = common("real_tokenizer_facts.json")
REAL_NAMES = {  # the facts' names for task and variant
    "infer_newline": ("quality", "newline"),
    "infer_space": ("quality", "space"),
    "qalign_github_bug": ("quality", "github"),
    "aes": ("aesthetics", "newline"),
    "aes_eval": ("aesthetics", "space"),
    "video": ("video", "newline"),
}
# Pieces of the published tokenizer that the facts' texts are made of, by id.
PIECES = {
    0: "<unk>", 1: "<s>", 2: "</s>", 13: "\n", 259: "▁▁", 263: "▁a", 278: "▁the", 304: "▁to", 310: "▁of", 319: "▁A", 322: "▁and",
    338: "▁is", 342: "est", 366: "▁you", 385: "▁an", 445: "▁this", 450: "▁The", 568: "ite", 723: "▁would", 1001: "ER", 1128: "▁How",
    1199: "ics", 1248: "▁pol", 1404: "▁user", 1546: "▁between", 1781: "▁good", 1799: "SS", 1967: "▁image", 3148: "▁US", 4076: "▁gives",
    4319: "▁bad", 4863: "▁video", 5155: "▁questions", 5328: "How", 6089: "▁answers", 6460: "▁poor", 6534: "▁fair", 6554: "▁rate",
    8444: "▁helpful", 9047: "IST", 9188: "het", 11029: "▁quality", 12758: "▁curious", 13173: "▁detailed", 13563: "▁chat",
    13566: "ANT", 15129: "▁excellent", 20255: "▁assistant", 21082: "▁intelligence", 22933: "ASS", 23116: "▁artificial", 29871: "▁",
    29879: "s", 29889: ".", 29892: ",", 29901: ":", 29915: "'", 29973: "?",
}  # fmt: skip


def varint(number: int) -> bytes:
    low, high = number & 127, number >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def message(field: int, content: bytes) -> bytes:
    """A protobuf field that holds bytes or a message."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def stand_in() -> bytes:
    """A sentencepiece model with the pieces above under their real ids. The real one finds its pieces by merges; this one takes the
    fewest pieces, and "▁A", "SS" before "▁", "ASS", which for the facts' texts comes to the same."""
    normal, unknown, control, unused = 1, 2, 3, 5
    model = b""
    for n in range(REAL["vocab"]):
        kind = {0: unknown, 1: control, 2: control}.get(n, normal if n in PIECES else unused)
        score = np.float32({259: -1.4, 319: -0.5, 22933: -1.3}.get(n, -1)).tobytes()
        piece = message(1, PIECES.get(n, f"<{n}>").encode()) + b"\x15" + score + b"\x18" + varint(kind)
        model += message(1, piece)
    trainer = b"\x18\x01"  # model_type: unigram
    normalizer = message(1, b"identity") + b"\x18\x01\x20\x00\x28\x01"  # a dummy prefix; spaces are kept and escaped
    return model + message(2, trainer) + message(3, normalizer)


@pytest.fixture(scope="module")
def real() -> MplugOwl2Processor:
    return MplugOwl2Processor(stand_in(), REAL["score_token_ids"], 448, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize("name", REAL["prompts"])
def test_a_prompt_has_the_ids_of_the_real_tokenizer(real, name):
    prompt = REAL["prompts"][name]
    assert real.ids(prompt["text"]) == prompt["input_ids"]


@pytest.mark.parametrize("text", REAL["misc_strings"])
def test_a_text_has_the_ids_of_the_real_tokenizer(real, text):
    assert real.ids(text) == REAL["misc_strings"][text]


@pytest.mark.parametrize("name", REAL_NAMES)
def test_each_task_and_variant_asks_what_upstream_asks(name):
    assert prompt_text(*REAL_NAMES[name]) == REAL["prompts"][name]["text"]


@pytest.mark.parametrize("kind, word", {"score": "<score3>", "level": "good"}.items())
def test_a_training_example_has_the_ids_and_labels_of_the_original(real, kind, word):
    question = "How would you rate the quality of this image?"
    ids, labels = real.training_example(question, f"The quality of the image is {word}.")
    expected = REAL["training_examples_original_preprocess"][kind]
    assert (ids, labels) == (expected["input_ids"], expected["labels"])


def test_answer_words_and_the_bare_prefix_have_their_ids(real):
    assert {word: real.word_id(word) for word in LEVEL_WORDS} == REAL["level_ids"]
    assert real.bare_prefix_id() == 29871
    assert [real.token_id(token) for token in REAL["score_token_ids"]] == list(REAL["score_token_ids"].values())
    assert (real.word(29871), real.word(32002), real.vocab_size) == ("▁", "<score3>", 32000)


@pytest.mark.parametrize("kind", [QSCORER, QALIGN], ids=lambda kind: kind.name)
def test_prompts_under_the_fixtures_own_tokenizers(kind):
    processor = MplugOwl2Processor.from_pretrained(kind / "checkpoint_safetensors")
    for name, prompt in facts(kind / "inputs" / "prompts.json").items():
        assert prompt_text(*PROMPT_NAMES[name]) == prompt["text"]
        assert processor.ids(prompt["text"]) == prompt["input_ids"]


@pytest.mark.parametrize("kind", [QSCORER, QALIGN], ids=lambda kind: kind.name)
def test_training_batches_under_the_fixtures_own_tokenizers(kind):
    processor = MplugOwl2Processor.from_pretrained(kind / "checkpoint_safetensors")
    batch = tensors(kind / "training" / "batch.safetensors")
    for row, sample in enumerate(facts(kind / "training" / "meta.json")):
        question, answer = (turn["value"] for turn in sample["conversations"])
        ids, labels = processor.training_example(question.removesuffix("\n<|image|>"), answer)
        padding = batch["input_ids"].shape[1] - len(ids)
        assert batch["input_ids"][row].tolist() == ids + [0] * padding
        assert batch["labels"][row].tolist() == labels + [-100] * padding
        assert ids.count(IMAGE_ID) == 1


@pytest.mark.parametrize(
    "size", [(300, 200), (301, 200), (200, 301), (7, 90), (90, 7), (64, 64), (57, 56), (1, 1), (1000, 999)]
)
def test_an_image_is_padded_and_resized_as_by_pillow_in_one_go(size):
    processor = MplugOwl2Processor.from_pretrained(QSCORER / "checkpoint_safetensors")
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image, longer = Image.fromarray(noise), max(size)
    padded = Image.new("RGB", (longer, longer), tuple(int(m * 255) for m in processor.mean))
    padded.paste(image, ((longer - size[0]) // 2, (longer - size[1]) // 2))
    expected = padded.resize((processor.side, processor.side), Image.Resampling.BICUBIC)
    assert np.array_equal(processor.square(image), expected)


@pytest.mark.parametrize("kind", [QSCORER, QALIGN], ids=lambda kind: kind.name)
def test_padding_is_the_originals(kind):
    processor = MplugOwl2Processor.from_pretrained(kind / "checkpoint_safetensors")
    for path in image_files(kind):
        square = Image.open(path.with_name(path.name.replace("image", "square"))).convert("RGB")
        assert np.array_equal(processor.square(Image.open(path).convert("RGB")), processor.square(square))


def broken(tmp_path, name: str, content: str | bytes | None):
    """A copy of a processor's folder in which one file holds `content`, or is gone."""
    MplugOwl2Processor.from_pretrained(QSCORER / "checkpoint_safetensors").save_pretrained(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


SETTINGS = facts(QSCORER / "checkpoint_safetensors" / "preprocessor_config.json")


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("tokenizer.model", None, "lacks tokenizer.model: copy"),
        ("tokenizer.model", b"version https://git-lfs.github.com/spec/v1", "is not a sentencepiece model"),
        ("preprocessor_config.json", None, "lacks preprocessor_config.json: copy"),
        ("preprocessor_config.json", '{"size": 4', "is not readable JSON"),
        ("preprocessor_config.json", "[]", "is not a JSON object"),
        ("preprocessor_config.json", "{}", "is not a valid image processor"),
        ("preprocessor_config.json", json.dumps(SETTINGS | {"crop_size": 7}), "must be equal"),
        ("added_tokens.json", '{"<score1>"', "is not readable JSON"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, sentence):
    with pytest.raises(ModelLoadError, match=sentence) as caught:
        MplugOwl2Processor.from_pretrained(broken(tmp_path, name, content))
    assert str(tmp_path) in str(caught.value) and name in str(caught.value)
