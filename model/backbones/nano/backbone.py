"""nano as a backbone. Trainable in fine-tuning: low-rank updates of the decoder's q_proj and v_proj (as in Q-Scorer, Q-Align and
DeQA-Score), the rows of the score tokens or level words in embed_tokens and lm_head, and Q-Scorer's regressor. Encoder and connector are
frozen: each image goes through them once, and only the decoder runs in the training loop."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from PIL import Image

from model.backbones.adapting import make_trainable
from model.backbones.contract import PARTS, Answered, Backbone, Encoded, Pixels
from model.backbones.nano.connector import STATISTICS, summarise
from model.backbones.nano.engine import Compiled, compile_encoder, is_installed
from model.backbones.nano.network import IMAGE_TOKENS, PROMPT, READOUT, NanoModel, NanoProcessor
from model.backbones.peft_files import rank_of, save_peft, wrap
from model.common.errors import ModelError
from model.common.json_files import write_json
from model.common.scale import Scale
from model.readouts.objective import BALANCED, BALANCED_LEVELS
from model.readouts.reading import Readout
from model.readouts.systems import System

TARGET_MODULES = ["q_proj", "v_proj"]
ANSWER_START = 1 + IMAGE_TOKENS + len(PROMPT.split())  # position of the answer's first word
ENDING = ". <eos>"
MODULES = {"vision": "encoder", "connector": "connector", "head": "lm_head"}


class NanoBackbone(Backbone[Pixels | Encoded]):
    """A nano and its processor. config.json states tokens, scale and kind of its readout.

    adapted: `model` with an adapter attached.
    """

    model: NanoModel

    plain_peft = """\
    PeftModel.from_pretrained(NanoModel.from_pretrained(BASE, dtype="float32"), FOLDER)"""

    def __init__(self, model: NanoModel, processor: NanoProcessor, adapted: PeftModel | None = None):
        self.model, self.processor, self.adapted = model.eval(), processor, adapted
        self.readout = self._readout()
        self._prompt = processor.prompt_ids()
        self._only_torch = False

    def _readout(self) -> Readout:
        stated = self.model.config.readout
        ids = self.processor.tokenizer.convert_tokens_to_ids(list(stated["tokens"]))
        return Readout(
            kind=stated["kind"],
            tokens=tuple(stated["tokens"]),
            token_ids=torch.tensor(ids, device=self.device),
            scale=Scale(*stated["scale"]),
            regressor=self.model.regressor.float() if stated["kind"] == "score_token" else None,
        )

    @property
    def losses(self) -> dict[str, float]:
        return BALANCED if self.readout.regressor is not None else BALANCED_LEVELS

    def prepare(self, image: Image.Image) -> Pixels:
        return Pixels(self.processor.pixels(image), IMAGE_TOKENS)

    @property
    def parts(self) -> tuple[str, ...]:
        return PARTS

    def can_read_as(self, system: System) -> bool:
        return True

    def teach(self, system: System) -> None:
        self.model.set_readout(system.readout == "regressed", system.tokens, system.hyper_units)
        self.readout = self._readout()

    @torch.no_grad()
    def encode(self, image: Image.Image) -> Pixels | Encoded:
        if not self.encoder_is_frozen:
            return self.prepare(image)
        return Encoded(self.image_tokens([self.prepare(image)])[0].cpu())

    def image_tokens(self, batch: Sequence[Pixels | Encoded]) -> torch.Tensor:
        """Images, prepared or encoded, to the decoder's image tokens [B, 20, D]."""
        if isinstance(batch[0], Encoded):
            rows = torch.stack([image.rows for image in batch if isinstance(image, Encoded)])
            return rows.to(self.device, self.dtype)
        return self.model.connector(self._features(batch))

    def _features(self, batch: Sequence[Pixels | Encoded]) -> torch.Tensor:
        """The connector's input features [B, WIDTH]."""
        pixels = torch.stack([image.pixels for image in batch if isinstance(image, Pixels)])
        pixels = pixels.to(self.device, self.dtype)
        if self.engine == "torch" or torch.is_grad_enabled():
            return self.model.features(pixels)
        return summarise(self._compiled(pixels))

    @property
    def engine(self) -> str:
        on_cpu = self.device.type == "cpu" and self.dtype == torch.float32
        return "openvino" if on_cpu and is_installed() and not self._only_torch and self.encoder_is_frozen else "torch"

    @contextmanager
    def on_torch(self) -> Iterator[None]:
        self._only_torch = True
        try:
            yield
        finally:
            self._only_torch = False

    @cached_property
    def _compiled(self) -> Compiled:
        return compile_encoder(self.model.encoder)

    @torch.inference_mode()
    def ask_with_features(self, batch: Sequence[Pixels | Encoded]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """`ask`, and the channel statistics [B, 992] of the encoder's four maps, standardised."""
        features = self._features(batch)
        standardised = self.model.connector.standardised(features)[:, : sum(STATISTICS)]
        return *self.ask_tokens(self.model.connector(features)), standardised.float()

    @torch.inference_mode()
    def ask(self, batch: Sequence[Pixels | Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.ask_tokens(self.image_tokens(batch))

    def ask_tokens(self, image_tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`ask` for image tokens [B, 20, D]."""
        prompt = self._prompt.to(image_tokens.device)
        hidden, logits = self.model.decode(image_tokens, prompt.expand(len(image_tokens), -1)).to_tuple()
        return hidden[:, -1], logits[:, -1]

    def answer(
        self, batch: Sequence[Pixels | Encoded], tokens: Sequence[str], questions: Sequence[str] | None = None
    ) -> Answered:
        if questions is not None:
            raise ModelError("nano supports only its own question about quality: omit the questions.")
        return self.answer_tokens(self.image_tokens(batch), tokens)

    def answer_tokens(self, image_tokens: torch.Tensor, tokens: Sequence[str]) -> Answered:
        """`answer` for image tokens [B, 20, D]. Supervised are the stem, the token, a full stop and <eos>."""
        ids = torch.stack([self.processor.prompt_ids(f"{token} {ENDING}") for token in tokens]).to(image_tokens.device)
        hidden, logits = self.model.decode(image_tokens, ids).to_tuple()
        taught = slice(ANSWER_START - 1, -1)
        read_at = len(self._prompt) - ANSWER_START
        return Answered(hidden[:, taught], logits[:, taught], ids[:, ANSWER_START:], read_at)

    def adapt(self, rank: int) -> int:
        self.adapted = self.adapted or attach(self.model, self.readout, rank, self.also_trained)
        self.readout = self._readout()  # PEFT has replaced the regressor by a trainable copy
        make_trainable(self.model)
        return rank_of(self.adapted)

    def save_adapter(self, folder: Path, base: str, base_revision: str) -> None:
        save_peft(self.adapted, folder, base, base_revision)
        write_json(folder / READOUT, self.model.stated_readout())


def attach(model: NanoModel, readout: Readout, rank: int, also: Collection[str] = ()) -> PeftModel:
    """A new adapter on `model` (changed in place), which does not change scores until it is trained. also: of PARTS, trained in full."""
    rows = readout.token_ids.tolist()
    layers = ["embed_tokens"] if "head" in also else ["embed_tokens", "lm_head"]
    whole = [MODULES[part] for part in PARTS if part in also]
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=TARGET_MODULES,
        trainable_token_indices=dict.fromkeys(layers, rows),
        modules_to_save=([*whole, "regressor"] if readout.regressor is not None else whole) or None,
    )
    return wrap(model, config)
