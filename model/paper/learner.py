"""A system at work on nano: from image tokens to the loss that teaches it, and to its reading.

    learner = build_learner(SYSTEMS["q-scorer-5"], scale=(1.0, 5.0), seed=0)
    loss, parts = learner.loss(examples)      # examples: image tokens that learner.model made of images, MOS, ...
    reading = learner.read(image_tokens)

What a system reads stands at the end of the prompt, or one or more words into the answer (a level word and then a score token; the figures
of a number): there the words before it are said greedily first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from model.backbones.contract import Answered
from model.backbones.nano.network import STEM, NanoConfig, NanoModel, NanoProcessor, build_tokenizer
from model.common.scale import Scale
from model.finetuning.step import Lesson, taught_by
from model.paper.labels import comparison_index
from model.paper.readouts import read_comparisons, read_digits, read_linear, read_score_and_variance
from model.readouts.levels import ASSUMED_STD, DIGITS, LEVEL_WORDS, digits, interval_index
from model.readouts.objective import Taught, weighted_sum
from model.readouts.reading import Reading, over_levels, read_levels, read_score_token, token_probabilities
from model.readouts.regressor import HyperRegressor, Regressor, build_regressor
from model.readouts.systems import System

CHUNK = 32  # images that are read together
ENDING = (".", "<eos>")


@dataclass(frozen=True)
class Batch:
    """Rated images as the decoder sees them: image tokens [B, 20, D], MOS [B] on the system's scale, and which data set each is from [B]
    (None: all of one)."""

    image_tokens: torch.Tensor
    mos: torch.Tensor
    groups: torch.Tensor | None = None


@dataclass(frozen=True)
class Anchors:
    """Compare2Score's anchors: image tokens [A, 20, D] and MOS [A]."""

    image_tokens: torch.Tensor
    mos: torch.Tensor


def build_learner(
    system: System, scale: Scale = Scale(1.0, 5.0), seed: int = 0, side: int = 320, **sizes
) -> "SystemLearner":
    """nano, with the words that the system says in its vocabulary, and the system's head; weights drawn from `seed`, all trainable but
    the encoder's. sizes: of NanoConfig. Raises ValueError for RealQA on a scale whose numbers have two figures before the point."""
    if system.label == "digits":
        digits(scale[1])  # can it be written?
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    tokenizer.add_tokens(sorted({*system.tokens, *(DIGITS if system.label == "digits" else ())}))
    processor = NanoProcessor(tokenizer, side=side)
    model = NanoModel(NanoConfig(vocab_size=len(tokenizer), **sizes))
    return SystemLearner(system, model, processor, scale)


def build_head(system: System, hidden_size: int, middle: float) -> Regressor | HyperRegressor | None:
    """What regresses the score from a hidden state; its scores begin about the middle of the scale."""
    if system.readout != "regressed":
        return None
    widths = system.widths_at(hidden_size)
    return build_regressor(hidden_size, widths, system.hyper_units, middle, with_variance=system.variance == "head")


class SystemLearner(nn.Module):
    """nano as one system. `model`, `head` (None where nothing is regressed); `anchors` must be set before Compare2Score reads, and
    `residual_std`, the RMSE on known images, where nothing but the score is read: it is then the uncertainty."""

    def __init__(self, system: System, model: NanoModel, processor: NanoProcessor, scale: Scale):
        super().__init__()
        self.system, self.model, self.processor, self.scale = system, model, processor, scale
        self.head = build_head(system, model.config.hidden_size, sum(scale) / 2)
        self.assumed_std = ASSUMED_STD * (scale[1] - scale[0])
        self.anchors: Anchors | None = None
        self.residual_std = (scale[1] - scale[0]) / 12**0.5  # of a score of which nothing is known
        for n, words in enumerate(self._slot_words()):  # buffers move to the learner's device with it
            self.register_buffer(f"slot{n}", self._ids(words), persistent=False)
        if system.label == "comparison":  # what words between two images say elsewhere: which one is the second
            self.second = nn.Parameter(torch.randn(model.config.hidden_size))
        model.encoder.requires_grad_(False)

    @property
    def slots(self) -> list[torch.Tensor]:
        """The ids of `_slot_words`, on the learner's device."""
        return [getattr(self, f"slot{n}") for n in range(len(self._slot_words()))]

    def _slot_words(self) -> list[Sequence[str]]:
        """The words that may stand at each position of the answer up to the last one that is read."""
        match self.system.label:
            case "digits":
                low, high = self.scale
                return [[str(n) for n in range(int(low), int(high) + 1)], ["."], DIGITS, DIGITS]
            case "word_then_token":
                return [LEVEL_WORDS, self.system.tokens]
        return [self.system.tokens]

    def _ids(self, words: Sequence[str]) -> torch.Tensor:
        return torch.tensor(self.processor.tokenizer.convert_tokens_to_ids(list(words)), dtype=torch.long)

    # Reading

    def predict(self, image_tokens: torch.Tensor) -> torch.Tensor:
        """Image tokens [N, 20, D] to scores [N]."""
        chunks = [self.read(chunk).score for chunk in image_tokens.split(CHUNK)]
        return torch.cat(chunks) if chunks else torch.empty(0)

    @torch.no_grad()
    def read(self, image_tokens: torch.Tensor) -> Reading:
        """What the system makes of image tokens [B, 20, D], in evaluation mode. Raises RuntimeError when anchors are missing."""
        self.eval()
        if self.system.readout == "comparison":
            return self._compare(image_tokens)
        hidden, logits = self._say(image_tokens)
        ids, last = self.slots[-1], (hidden[:, -1], logits[:, -1])
        if self.system.readout == "digits":
            return read_digits(logits[:, [0, 2, 3]], [self.slots[n] for n in (0, 2, 3)], self.scale)
        if self.system.readout == "weighted":
            return read_levels(last[1], ids, self.scale)
        if not len(ids):
            return read_linear(last[0], self.head, self.residual_std)
        regress = read_score_and_variance if self.system.variance == "head" else read_score_token
        return regress(*last, ids, self.scale, self.head)

    def _say(self, image_tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states [B, S, D] and logits [B, S, V] at the positions that predict the S slots, each slot's likeliest word said first."""
        ids = self.processor.prompt_ids().to(image_tokens.device).expand(len(image_tokens), -1)
        seen, slots = [], self.slots
        for choices in slots:
            output = self.model.decode(image_tokens, ids)
            seen.append((output.hidden[:, -1], output.logits[:, -1]))
            if len(seen) < len(slots):
                said = choices[seen[-1][1][:, choices].argmax(1)]
                ids = torch.cat([ids, said[:, None]], 1)
        hidden, logits = zip(*seen, strict=True)
        return torch.stack(hidden, 1), torch.stack(logits, 1)

    def _compare(self, image_tokens: torch.Tensor) -> Reading:
        if self.anchors is None:
            raise RuntimeError("Compare2Score reads an image against anchors: set learner.anchors first")
        pairs = [self._beside(image_tokens, anchor.expand_as(image_tokens)) for anchor in self.anchors.image_tokens]
        logits = torch.stack([self._say(pair)[1][:, 0] for pair in pairs], 1)
        return read_comparisons(logits, self.slots[0], self.anchors.mos, self.scale)

    def _beside(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Two images' image tokens [B, 20, D] as one prompt's [B, 40, D]."""
        return torch.cat([first, second + self.second], 1)

    # Teaching

    def loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """The weighted sum of the system's losses on a batch, and each loss by name before it is weighed. Raises ValueError where
        Compare2Score finds no two images of one data set in it."""
        return weighted_sum(self.system.losses, self._taught(batch))

    def _taught(self, batch: Batch) -> Taught:
        system = self.system
        if system.label == "comparison":
            batch, answers = self._pairs(batch)
        else:
            answers = [self._answer(mos) for mos in batch.mos.tolist()]
        ids = torch.stack(
            [self.processor.prompt_ids(" ".join([*words, *ENDING]) if words else "") for words in answers]
        ).to(batch.image_tokens.device)
        output = self.model.decode(batch.image_tokens, ids)
        shift = output.hidden.shape[1] - ids.shape[1]  # of a second image in the prompt
        read_at = len(self.processor.prompt_ids()) - 1 + shift + (len(self.slots) - 1)
        answer_at = len(self.processor.prompt_ids()) - len(STEM.split())  # the stem is part of the answer
        scores, variances = self._scores(output.hidden[:, read_at], output.logits[:, read_at])
        predicting = slice(answer_at - 1 + shift, -1)
        answered = Answered(
            output.hidden[:, predicting],
            output.logits[:, predicting],
            ids[:, answer_at:],
            read_at - shift + 1 - answer_at,
        )
        lesson = Lesson(batch.mos, torch.full_like(batch.mos, self.assumed_std), batch.groups)
        return taught_by(answered, lesson, self.slots[-1], self.scale, scores, variances)

    def _answer(self, mos: float) -> tuple[str, ...]:
        """The words that are taught before the full stop."""
        low, high = self.scale
        if self.system.label == "none":
            return ()
        if self.system.label == "digits":
            return digits(min(max(mos, low), high))
        token = self.system.tokens[interval_index(mos, self.scale, len(self.system.tokens))]
        if self.system.label == "word_then_token":
            return LEVEL_WORDS[interval_index(mos, self.scale, len(LEVEL_WORDS))], token
        return (token,)

    def _scores(self, hidden: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Scores [B] and their variances [B] as the losses see them: not clamped, and None where the system has none."""
        if self.head is None and self.system.readout != "weighted":
            return None, None
        if self.system.variance == "head":
            return self.head.score_and_variance(hidden)
        scores = variances = None
        if self.system.variance == "tokens" or self.head is None:
            found = over_levels(token_probabilities(logits, self.slots[-1])[0], self.scale)
            scores, variances = found.mean, found.variance
        if self.head is not None:
            scores = self.head(hidden)
        return scores, variances if self.system.variance else None

    def _pairs(self, batch: Batch) -> tuple[Batch, list[tuple[str, ...]]]:
        """Each image beside the next one of its data set: image tokens [P, 40, D], and the comparison words."""
        groups = batch.groups if batch.groups is not None else torch.zeros_like(batch.mos)
        order = groups.argsort(stable=True)
        first, second = order, order.roll(-1)
        same = (groups[first] == groups[second]) & (first != second)
        if not same.any():
            raise ValueError("Compare2Score learns from pairs, and no two images of the batch are of one data set")
        first, second = first[same], second[same]
        tokens = self._beside(batch.image_tokens[first], batch.image_tokens[second])
        std, pairs = self.assumed_std, zip(batch.mos[first].tolist(), batch.mos[second].tolist(), strict=True)
        words = [(self.system.tokens[comparison_index(a, b, std, std)],) for a, b in pairs]
        return Batch(tokens, batch.mos[first], groups[first]), words
