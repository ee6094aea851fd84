"""Image preprocessing for mPLUG-Owl2, equal to the original programs'."""

import numpy as np
import torch
from PIL import Image

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class MplugOwl2Pixels:
    """side: of the model's square input, in pixels. mean, std: per channel, of pixels in [0, 1]."""

    def __init__(
        self,
        side: int,
        mean: tuple[float, float, float] = CLIP_MEAN,
        std: tuple[float, float, float] = CLIP_STD,
        resample: int = Image.Resampling.BICUBIC,
    ):
        self.side, self.mean, self.std, self.resample = side, tuple(mean), tuple(std), Image.Resampling(resample)
        self.padding = tuple(int(m * 255) for m in self.mean)
        rescaled = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)[:, None]
        self._values = (rescaled - np.float32(self.mean)) / np.float32(self.std)  # [256, 3]: byte to pixel value

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """An RGB image to [3, side, side] float32: padded to a square in the mean colour, resized, normalised."""
        return torch.from_numpy(self._values[np.asarray(self.square(image)), range(3)]).permute(2, 0, 1).contiguous()

    def square(self, image: Image.Image) -> Image.Image:
        """The image, centred on a square of the mean colour and resized to `side` x `side`, with 8 bits per channel.

        Pillow resizes rows first, then columns; so a wide image's rows are resized before padding, for the same result with less work.
        """
        width, height = image.size
        longer = max(width, height)
        if width > height:
            image = image.resize((self.side, height), self.resample)
        if width != height:
            padded = Image.new("RGB", (image.width if width > height else longer, longer), self.padding)
            padded.paste(image, (0 if width > height else (longer - width) // 2, (longer - height) // 2))
            image = padded
        return image.resize((self.side, self.side), self.resample)
