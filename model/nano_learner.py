"""A learner: nano seen from its training, from image tokens to scores and to the loss, with its readout."""

from dataclasses import dataclass

import torch

from model.backbones.nano import IMAGE_TOKENS, PROMPT, NanoModel, NanoProcessor
from model.labels import interval_index
from model.losses import answer_cross_entropy, regression_loss
from model.readouts import read_levels, read_score_token

QUESTION_END = 1 + IMAGE_TOKENS + len(PROMPT.split())  # where the answer begins
SCORED = -4  # <the position before> word . <eos>


@dataclass(frozen=True)
class Answers:
    """Of N pictures: logits [N, A, V] at the positions that predict the answer's ids [N, A], and scores [N], not clamped, as they are read
    at the position that predicts its first word."""

    logits: torch.Tensor
    ids: torch.Tensor
    scores: torch.Tensor

    def __getitem__(self, rows: slice) -> "Answers":
        return Answers(self.logits[rows], self.ids[rows], self.scores[rows])


class Learner:
    """A nano with its processor and readout: predicts from image tokens, and says how wrong it is."""

    def __init__(self, model: NanoModel, processor: NanoProcessor):
        self.model, self.processor = model, processor
        readout = model.config.readout
        self.readout: str = readout["kind"]
        self.tokens: list[str] = readout["tokens"]
        self.scale: tuple[float, float] = tuple(readout["scale"])
        self.token_ids = torch.tensor(processor.tokenizer.convert_tokens_to_ids(self.tokens))

    @torch.no_grad()
    def predict(self, image_tokens: torch.Tensor) -> torch.Tensor:
        """Image tokens [N, 20, D] to scores [N], by the scorer's own readouts."""
        self.model.eval()
        token_ids = self.token_ids.to(image_tokens.device)
        prompt = self.processor.prompt_ids().to(image_tokens.device)
        scores = [torch.empty(0, device=image_tokens.device)]
        for tokens in image_tokens.split(32):
            output = self.model.decode(tokens, prompt.expand(len(tokens), -1))
            hidden, logits = output.hidden[:, -1], output.logits[:, -1]
            if self.readout == "score_token":
                reading = read_score_token(hidden, logits, token_ids, self.scale, self.model.regressor)
            else:
                reading = read_levels(logits, token_ids, self.scale)
            scores.append(reading.score)
        return torch.cat(scores)

    def answers(self, image_tokens: torch.Tensor, mos: torch.Tensor) -> Answers:
        """What the model makes of image tokens [N, 20, D] and the right answers to them: the word of the MOS [N], a full stop, the end."""
        words = [self.tokens[interval_index(m, self.scale, len(self.tokens))] for m in mos.tolist()]
        ids = torch.stack([self.processor.prompt_ids(f"{word} . <eos>") for word in words]).to(mos.device)
        output = self.model.decode(image_tokens, ids)
        logits = output.logits[:, QUESTION_END - 1 : -1]
        if self.readout == "score_token":
            scores = self.model.regressor(output.hidden[:, SCORED])
        else:
            scores = read_levels(output.logits[:, SCORED], self.token_ids, self.scale).score
        return Answers(logits, ids[:, QUESTION_END:], scores)

    def loss(self, image_tokens: torch.Tensor, mos: torch.Tensor) -> torch.Tensor:
        """As base training on undamaged pictures (model/trio.py). Q-Scorer: cross-entropy of the answer + MSE at the position that
        predicts the score token + half of norm-in-norm. Q-Align: the cross-entropy alone."""
        found = self.answers(image_tokens, mos)
        loss = answer_cross_entropy(found.logits, found.ids)
        if self.readout == "score_token":
            loss = loss + regression_loss(found.scores, mos)
        return loss
