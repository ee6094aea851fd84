"""The meta JSON that Q-Scorer, DeQA-Score and Q-Align train on and are evaluated with: a list of objects, one an image.

All three have id ("name.jpg->mos"), image (from a root folder), gt_score and, to train, `conversations`: a question with the mark
of the image, and an answer that names a level. They differ in what the answer says and in the figures beside it:

* q-scorer: `<score1>` to `<score5>`, five intervals of 1 to 5; gt_score on 1 to 5, since the released loss clamps to 0 to 5.
* q-align: level words, five intervals between the smallest and the largest MOS of the file, each closed above; gt_score as it is.
* deqa: as q-align, and gt_score_norm and std_norm on 1 to 5 by the smallest and the largest MOS, and level_probs and
  level_probs_org (the soft label after and before its correction), from excellent to bad.

The question is our own and always the same; the original files draw theirs from ten.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from model.common.errors import DataError
from model.common.lfs import check_no_pointer
from model.common.scale import Scale
from model.datasets.image_paths import locate
from model.datasets.rated import RatedImage
from model.readouts.levels import LEVEL_WORDS, interval_index, level_values, raw_soft_label, soft_label

KINDS = ("q-scorer", "q-align", "deqa")
SCALE = Scale(1.0, 5.0)
QUESTION = "How would you rate the quality of this image?\n<|image|>"
LEAST_STD = 1e-6  # of the scale's width: raters who all agree have a std of 0, of which no density can be taken


def read_meta(path: str | Path, images: str | Path, scale: Scale | None = None) -> list[RatedImage]:
    """Read a meta JSON of any of the three. images: the root of its paths; scale: of gt_score and std.

    gt_score may be text, as in some of Q-Align's files, and `img_path` stands for `image`, which may be a list of one path.
    Raises DataError for what is no such file, an entry with several images and a gt_score outside of the scale; the sentence counts
    entries from 1.
    """
    path, images = Path(path), Path(images)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    check_no_pointer(content, path, DataError)
    try:
        entries = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not readable JSON: copy it again") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path} is not a meta JSON: it must hold a list of objects with image and gt_score")
    found = [_entry(entry, f"{path}, entry {n}", scale) for n, entry in enumerate(entries, 1)]
    paths = locate(images, (name for name, _, _ in found))
    return [
        RatedImage(where, mos, std, None, scale, dataset=path.stem)
        for where, (_, mos, std) in zip(paths, found, strict=True)
    ]


def _entry(entry: dict, where: str, scale: Scale | None) -> tuple[str, float, float | None]:
    image = entry.get("image", entry.get("img_path"))
    if isinstance(image, list) and len(image) == 1:
        image = image[0]
    if not isinstance(image, str) or not image:
        raise DataError(f"{where}: `image` must be the path of one image, and is {json.dumps(image)}")
    values = []
    for key in ("gt_score", "std"):
        given = entry.get(key)
        try:
            value = None if given is None and key == "std" else float(given)
        except (TypeError, ValueError, OverflowError):
            value = math.nan
        if value is not None and not math.isfinite(value):
            raise DataError(f"{where}: {key} of {image} is {json.dumps(given)}, not a number")
        values.append(value)
    mos, std = values
    if scale and not scale[0] <= mos <= scale[1]:
        raise DataError(f"{where}: gt_score of {image} is {mos:g}, outside of the scale {scale[0]:g} to {scale[1]:g}")
    return image, mos, std


def write_meta(
    path: str | Path,
    rated: Sequence[RatedImage],
    images: str | Path,
    kind: str,
    span: Scale | None = None,
) -> None:
    """Write the images as the meta JSON of `kind`, with paths from the folder `images`.

    span: the smallest and the largest MOS for q-align and deqa (default: of these images). The originals take them over training and
    test part together, so give both files the same. Raises DataError for an unknown kind, an image outside of the folder, no images,
    an empty span where it counts, and for deqa an image without a std, which its soft labels are made of.
    """
    if kind not in KINDS:
        raise DataError(f"there is no meta JSON of kind '{kind}': give one of {', '.join(KINDS)}")
    if not rated:
        raise DataError(f"there are no images to write to {path}")
    low, high = span or (min(image.mos for image in rated), max(image.mos for image in rated))
    if kind != "q-scorer" and low == high:
        raise DataError(f"all MOS are {low:g}: {kind} cuts their range into levels, and there is none")
    entries = [_written(image, Path(images), kind, Scale(low, high)) for image in rated]
    Path(path).write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def _written(image: RatedImage, root: Path, kind: str, span: Scale) -> dict:
    try:
        name = image.image.relative_to(root).as_posix()
    except ValueError as error:
        raise DataError(f"{image.image} does not lie in {root}: give a folder that holds all images") from error
    if kind == "q-scorer":
        image = image.on(SCALE)
        level = f"<score{interval_index(image.mos, SCALE, len(LEVEL_WORDS)) + 1}>"
    else:
        level = LEVEL_WORDS[interval_index(image.mos, span, len(LEVEL_WORDS))]
    entry = {"id": f"{image.image.name}->{image.mos:g}", "image": name, "gt_score": image.mos}
    if image.std is not None:
        entry["std"] = image.std
    if kind == "deqa":
        entry |= _soft(image, span)
    answer = f"The quality of the image is {level}."
    return entry | {"conversations": [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": answer}]}


def _soft(image: RatedImage, span: Scale) -> dict:
    if image.std is None:
        raise DataError(
            f"{image.image.name} has no std, and DeQA-Score's soft labels are made of it: write q-align instead"
        )
    normal = replace(image, scale=span).on(SCALE)
    by_area = image.dataset == "SPAQ"
    spread = max(normal.std, LEAST_STD * (SCALE[1] - SCALE[0]))
    raw = raw_soft_label(normal.mos, spread, by_area, level_values(SCALE, len(LEVEL_WORDS)))
    return {
        "gt_score_norm": normal.mos,
        "std_norm": normal.std,
        "level_probs": soft_label(normal.mos, normal.std, by_area)[::-1],
        "level_probs_org": raw[::-1],
    }
