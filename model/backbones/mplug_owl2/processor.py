"""Image preprocessing and tokenization for mPLUG-Owl2, equal to the original programs'.

Reads and writes the files of the published folders: preprocessor_config.json, tokenizer.model, added_tokens.json. Text is encoded by the
sentencepiece model, since the current LlamaTokenizer loses a token in one of the published prompts.
"""

import re
from pathlib import Path

import sentencepiece
from PIL import Image

from model.backbones.mplug_owl2.network import IMAGE_ID
from model.backbones.mplug_owl2.pixels import MplugOwl2Pixels
from model.backbones.mplug_owl2.prompts import IMAGE_MARK, NO_LABEL, training_prompt
from model.common.errors import ModelLoadError
from model.common.json_files import read_json, write_json

BARE_PREFIX = "▁"  # the piece that Q-Scorer outputs before a score token
PIXELS, TOKENIZER, ADDED, TOKENIZER_CONFIG = (
    "preprocessor_config.json",
    "tokenizer.model",
    "added_tokens.json",
    "tokenizer_config.json",
)
# Appended to a sentencepiece model (a protobuf message), this switches off normalizer_spec.add_dummy_prefix: later fields take precedence.
WITHOUT_PREFIX = b"\x1a\x02\x18\x00"


class MplugOwl2Processor(MplugOwl2Pixels):
    """sentencepiece_model: content of tokenizer.model. added_tokens: name to id. side, mean, std, resample: as MplugOwl2Pixels."""

    def __init__(
        self,
        sentencepiece_model: bytes,
        added_tokens: dict[str, int],
        side: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        resample: int = Image.Resampling.BICUBIC,
    ):
        super().__init__(side, mean, std, resample)
        self.sentencepiece_model = sentencepiece_model
        self._pieces, self._inner_pieces = (sentencepiece.SentencePieceProcessor() for _ in range(2))
        self._pieces.LoadFromSerializedProto(sentencepiece_model)
        self._inner_pieces.LoadFromSerializedProto(sentencepiece_model + WITHOUT_PREFIX)
        special = (self._pieces.bos_id(), self._pieces.eos_id(), self._pieces.unk_id())
        self._special = {self._pieces.id_to_piece(n): n for n in special}
        self.add_tokens(added_tokens)

    def add_tokens(self, tokens: dict[str, int]) -> None:
        """Set the added tokens, name to id, replacing earlier ones."""
        self.added_tokens = dict(tokens)
        names = sorted([*self._special, *tokens], key=len, reverse=True)
        self._split = re.compile("(" + "|".join(map(re.escape, names)) + ")")

    @property
    def vocab_size(self) -> int:
        """The number of pieces in the sentencepiece model, without added tokens."""
        return self._pieces.get_piece_size()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "MplugOwl2Processor":
        """Read a published folder or one written by `save_pretrained`. Raises ModelLoadError, naming a missing or invalid file."""
        folder = Path(folder)
        pixels = read_json(folder / PIXELS)
        added = read_added_tokens(folder)
        try:
            side, crop = one_number(pixels["size"]), one_number(pixels["crop_size"])
            if side != crop:
                raise ValueError(f"size is {side} and crop_size {crop}, but they must be equal")
            model = (folder / TOKENIZER).read_bytes()
            return cls(model, added, side, pixels["image_mean"], pixels["image_std"], pixels.get("resample", 3))
        except FileNotFoundError as error:
            raise ModelLoadError(f"{folder} lacks {TOKENIZER}: copy the whole folder again.") from error
        except RuntimeError as error:
            raise ModelLoadError(
                f"{folder / TOKENIZER} is not a sentencepiece model, or truncated: download this file again."
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ModelLoadError(
                f"{folder / PIXELS} is not a valid image processor ({error}): download this file again."
            ) from error

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the three files, in the published layout."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENIZER).write_bytes(self.sentencepiece_model)
        if self.added_tokens:
            write_json(folder / ADDED, self.added_tokens)
        square = {"height": self.side, "width": self.side}
        write_json(
            folder / PIXELS,
            {
                "image_processor_type": "CLIPImageProcessor",
                "size": {"shortest_edge": self.side},
                "crop_size": square,
                "image_mean": self.mean,
                "image_std": self.std,
                "resample": int(self.resample),
            },
        )

    def ids(self, text: str) -> list[int]:
        """The ids of a prompt: <s>, IMAGE_ID for each image mark, and each text between marks encoded separately."""
        ids = [self._pieces.bos_id()]
        for n, stretch in enumerate(text.split(IMAGE_MARK)):
            ids += [IMAGE_ID] * (n > 0) + self.encode(stretch)
        return ids

    def encode(self, text: str) -> list[int]:
        """The ids of a text without image marks, and without <s>. Text after a special or added token gets no dummy prefix."""
        first, *rest = self._split.split(text)  # texts and tokens alternate, starting with a text, which may be empty
        ids = self._pieces.encode(first)
        for stretch in rest:
            token = self.token_id(stretch)
            ids += self._inner_pieces.encode(stretch) if token is None else [token]
        return ids

    def token_id(self, name: str) -> int | None:
        """The id of a special or added token, None for any other text."""
        return self._special.get(name, self.added_tokens.get(name))

    def word_id(self, word: str) -> int:
        """The id of a word within a sentence. Raises ModelLoadError if it is not a single token."""
        ids = self.encode(word)
        if len(ids) != 1 or ids[0] == self._pieces.unk_id():
            raise ModelLoadError(
                f"the vocabulary has no single token for the level word '{word}': {TOKENIZER} is of another model, so download it again."
            )
        return ids[0]

    def word(self, token_id: int) -> str:
        """The piece or added token with this id."""
        names = {n: name for name, n in self.added_tokens.items()}
        return names[token_id] if token_id in names else self._pieces.id_to_piece(token_id)

    def bare_prefix_id(self) -> int:
        return self._pieces.piece_to_id(BARE_PREFIX)

    def training_example(self, question: str, answer: str) -> tuple[list[int], list[int]]:
        """Ids and labels of a conversation: the answer and its </s> are supervised, the rest is NO_LABEL."""
        prompt = self.ids(training_prompt(question))
        end = self._pieces.id_to_piece(self._pieces.eos_id())
        ids = self.ids(f"{training_prompt(question)} {answer}{end}")
        return ids, [NO_LABEL] * len(prompt) + ids[len(prompt) :]


def read_added_tokens(folder: Path) -> dict[str, int]:
    """Tokens beyond the sentencepiece model, from added_tokens.json, else from tokenizer_config.json."""
    if (folder / ADDED).is_file():
        return read_json(folder / ADDED)
    if not (folder / TOKENIZER_CONFIG).is_file():
        return {}
    entries = read_json(folder / TOKENIZER_CONFIG).get("added_tokens_decoder", {})
    return {entry["content"]: int(number) for number, entry in entries.items() if int(number) > 2}


def one_number(size: int | dict) -> int:
    """The side of a square given as an integer, {"shortest_edge": n} or {"height": n, "width": n}; else raises ValueError."""
    numbers = {size} if isinstance(size, int) else set(size.values())
    if len(numbers) != 1:
        raise ValueError(f"the sides {size} are not equal")
    return numbers.pop()
