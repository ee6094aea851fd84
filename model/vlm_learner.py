"""A learner of any VLM: from rated pictures to the loss, in the manner of model/nano_learner.py."""

from collections.abc import Sequence

import torch

from model.backbones.vlm import Prepared, VlmBackbone
from model.labels import interval_index
from model.losses import answer_cross_entropy, regression_loss


class VlmLearner:
    """Says how wrong a VLM is about rated pictures. The answer that it is taught: the stem, the score token, "." and the end
    of turn; of a level word the piece by which it is read, and no more, so that all answers are equally long."""

    def __init__(self, backbone: VlmBackbone):
        self.backbone = backbone
        tokenizer = backbone.tokenizer
        full_stop = tokenizer(".", add_special_tokens=False).input_ids
        self.ending = [*full_stop, tokenizer.eos_token_id] if backbone.readout == "score_token" else []

    def loss(self, batch: Sequence[Prepared], mos: torch.Tensor) -> torch.Tensor:
        """Of pictures that may share a batch and their MOS [B] on the backbone's scale. score_token: cross-entropy of the answer
        + MSE at the position that predicts the score token + 0.5 norm-in-norm. level: the cross-entropy alone."""
        backbone, stem = self.backbone, self.backbone.stem_ids
        levels = [interval_index(m, backbone.scale, len(backbone.tokens)) for m in mos.tolist()]
        answers = torch.tensor([[backbone.token_ids[level], *self.ending] for level in levels])
        last = torch.tensor([picture.length - 1 for picture in batch])  # predicts the score token
        positions = last[:, None] + torch.arange(-len(stem), answers.shape[1])
        hidden, logits = backbone.at_positions(batch, positions, answers)
        taught = torch.cat([torch.tensor(stem).expand(len(batch), -1), answers], 1).to(logits.device)
        loss = answer_cross_entropy(logits.float(), taught)
        if backbone.regressor is not None:
            scores = backbone.regressor(hidden[:, len(stem)].float())  # in float32, as all that moves
            loss = loss + regression_loss(scores, mos.to(scores.device))
        return loss
