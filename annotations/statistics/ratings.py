"""The arrays that the functions of this folder work on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ratings:
    """n ratings: `rater[k]` (below `raters`) rated `image[k]` (below `images`) with `value[k]`. At most one for each rater and image,
    but raters and images without ratings are allowed."""

    rater: NDArray[np.intp]
    image: NDArray[np.intp]
    value: NDArray[np.float64]
    raters: int
    images: int

    def only(self, kept: NDArray[np.bool_]) -> "Ratings":
        """Those of a mask, with the same indices."""
        return Ratings(self.rater[kept], self.image[kept], self.value[kept], self.raters, self.images)

    def per_image(self, of: NDArray) -> NDArray:
        """Sums of an array of n over the ratings of each image."""
        return np.bincount(self.image, of, self.images)

    def per_rater(self, of: NDArray) -> NDArray:
        """Sums of an array of n over the ratings of each rater."""
        return np.bincount(self.rater, of, self.raters)

    def table(self) -> NDArray[np.float64]:
        """raters × images, NaN where there is no rating."""
        table = np.full((self.raters, self.images), np.nan)
        table[self.rater, self.image] = self.value
        return table


def from_table(table: NDArray) -> Ratings:
    """The ratings of a table raters × images with NaN where there is none."""
    rater, image = np.nonzero(~np.isnan(table))
    return Ratings(rater, image, table[rater, image].astype(float), *table.shape)
