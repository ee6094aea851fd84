"""Labels of one's own in a CSV file: image and mos, and where they are known std and n."""

from pathlib import Path

from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.image_paths import locate
from model.datasets.rated import RatedImage
from model.datasets.tables import read_table


def read_labels(path: str | Path, images: str | Path, scale: Scale | None = None) -> list[RatedImage]:
    """Read a CSV file with the columns image and mos, in any case and order, and std and n where they are there.

    images: the folder that the names in the column image start from. scale: of mos and std; without one the images have none.
    Raises DataError for a file that cannot be read, a missing column, a mos, std or n that is none, an n that is not whole, a mos outside
    of the scale, an image named twice, a file without rows and a folder that is none; the sentence names the file and the line.
    """
    path, images = Path(path), Path(images)
    lines: dict[str, int] = {}
    found = []
    for row in read_table(path, ["image", "mos"]):
        image = row.text("image")
        if not image:
            raise row.error("no image is named")
        if image in lines:
            raise row.error(f"{image} was given on line {lines[image]} already; give each image once")
        lines[image] = row.line
        mos = row.number("mos", f"mos of {image}")
        if scale and not scale[0] <= mos <= scale[1]:
            raise row.error(f"the mos of {image} is {mos:g}, outside of the scale {scale[0]:g} to {scale[1]:g}")
        std, n = row.optional("std", f"std of {image}"), row.optional("n", f"n of {image}")
        if (std is not None and std < 0) or (n is not None and n < 1):
            raise row.error(f"{image} has a negative std or an n below 1")
        if n is not None and n != int(n):
            raise row.error(f"the n of {image} is {n:g}, and must be a whole number")
        found.append((image, mos, std, None if n is None else int(n)))
    if not found:
        raise DataError(f"{path} has no rows below its first line: there is nothing to evaluate")
    if not images.is_dir():
        raise DataError(f"{images} is not a folder: give the folder that the names in the labels start from")
    paths = locate(images, (image for image, *_ in found))
    return [
        RatedImage(where, mos, std, n, scale, dataset=path.stem)
        for where, (_, mos, std, n) in zip(paths, found, strict=True)
    ]
