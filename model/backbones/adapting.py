"""Shared by all backbones for training adapters."""

from typing import TYPE_CHECKING

from model.backbones.contract import Options

if TYPE_CHECKING:
    from torch import nn

LARGE = 100e6  # parameters; larger models use gradient checkpointing
LARGE_MODELS = Options(
    rank=16, learning_rate=2e-4, epochs=5, min_steps=40
)  # the learning rate of Q-Align's LoRA recipe


def make_trainable(model: "nn.Module") -> None:
    """Convert trainable parameters to float32, in which small updates are not rounded away, and switch on gradient checkpointing for a
    large model."""
    weights = list(model.parameters())
    for weight in weights:
        if weight.requires_grad:
            weight.data = weight.data.float()
    if sum(weight.numel() for weight in weights) > LARGE and model.supports_gradient_checkpointing:
        model.activation_checkpointing_enable()
