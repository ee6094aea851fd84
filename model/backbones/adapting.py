"""What all kinds of backbones share when an adapter is trained on them."""

from typing import TYPE_CHECKING

from model.backbones.contract import Options

if TYPE_CHECKING:
    from torch import nn

LARGE = 100e6  # parameters from which activations are computed twice rather than kept
LARGE_MODELS = Options(
    rank=16, learning_rate=2e-4, epochs=5, min_steps=40
)  # the learning rate of Q-Align's LoRA recipe


def make_trainable(model: "nn.Module") -> None:
    """Hold what is trained in float32, whatever the rest is in: small steps would be rounded away. A large model computes its activations
    again in the backward pass rather than keep them."""
    weights = list(model.parameters())
    for weight in weights:
        if weight.requires_grad:
            weight.data = weight.data.float()
    if sum(weight.numel() for weight in weights) > LARGE and model.supports_gradient_checkpointing:
        model.activation_checkpointing_enable()
