"""Builds folders in the layouts in which the data sets are published, with a handful of images that we draw ourselves.

The header lines and the way images are named are the published ones; figures are made up but for those that a test says are not.
"""

import shutil
from pathlib import Path

import numpy as np

from tests.bad_images import sample_image


def draw(folder: Path, names) -> None:
    """Images of 24 x 24 under these names."""
    folder.mkdir(parents=True, exist_ok=True)
    first = None
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if first is None or first.suffix != path.suffix:
            sample_image(24, 24).save(path)
            first = path
        else:
            shutil.copy(first, path)


def table(path: Path, header: str, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


KONIQ_COUNTS = [(0, 0, 25, 73, 7), (0, 3, 45, 47, 1), (1, 0, 20, 73, 2), (6, 69, 27, 0, 0), (93, 16, 0, 0, 0)]
KONIQ_SETS = ["training", "test", "training", "validation", "test"]


def koniq(folder: Path, scores: bool = True, sets: bool = True) -> Path:
    """KonIQ-10k: the first row has the published figures of 10004473376.jpg."""
    names = ["10004473376.jpg", "10007357496.jpg", "10007903636.jpg", "10050349236.jpg", "10344921126.jpg"]
    draw(folder / "1024x768", names)
    in_scores, in_sets = [], []
    for name, counts, part in zip(names, KONIQ_COUNTS, KONIQ_SETS, strict=True):
        values, total = np.repeat(range(1, 6), counts), sum(counts)
        mos, sd = values.mean(), values.std(ddof=1)
        zscore = 77.3836206897 - 25 * (3.82857 - mos)
        in_scores.append((name, *counts, total, mos, sd, zscore))
        in_sets.append((name, *(count / total for count in counts), total, zscore, sd, part))
    header = "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD"
    if scores:
        table(folder / "koniq10k_scores_and_distributions.csv", f"{header},MOS_zscore", in_scores)
    if sets:
        table(folder / "koniq10k_distributions_sets.csv", f"{header},set", in_sets)
    return folder


def spaq(folder: Path, excel: bool = False) -> Path:
    rows = [(f"{n:05}.jpg", mos, 50, 50, 50, 50, 50) for n, mos in enumerate([48.86, 62.5, 77.25, 5.83, 22.71], 1)]
    header = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]
    draw(folder / "TestImage", [row[0] for row in rows])
    name = folder / "Annotations" / "MOS and Image attribute scores"
    if excel:
        workbook(name.with_suffix(".xlsx"), {"Sheet1": [header, *rows]})
    else:
        table(name.with_suffix(".csv"), ",".join(header), rows)
    return folder


def kadid(folder: Path, turned: bool = False) -> Path:
    """KADID-10k in a folder of its own within the archive's: the first two rows are the published ones."""
    rows = [
        ("I01_01_01.png", "I01.png", 4.57, 0.496),
        ("I01_01_02.png", "I01.png", 4.33, 0.869),
        ("I01_01_05.png", "I01.png", 1.1, 0.3),
        ("I02_03_01.png", "I02.png", 4.6, 0.5),
        ("I02_03_05.png", "I02.png", 1.2, 0.4),
    ]
    if turned:
        rows = [(name, reference, round(6 - mos, 2), std) for name, reference, mos, std in rows]
    draw(folder / "kadid10k" / "images", [row[0] for row in rows] + ["I01.png", "I02.png"])
    table(folder / "kadid10k" / "dmos.csv", "dist_img,ref_img,dmos,var", rows)
    return folder


def live_wild(folder: Path) -> Path:
    """LIVE-Wild: seven training images first, in a folder of their own, then the others."""
    from scipy.io import savemat

    names = [f"t{n}.bmp" for n in range(1, 8)] + ["3.bmp", "4.bmp", "1024.JPG"]
    mos = np.array([[60.0] * 7 + [63.9634, 25.3353, 9.2291]])
    draw(folder / "Images", names[7:])
    draw(folder / "Images" / "trainingImages", names[:7])
    (folder / "Data").mkdir()
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    savemat(folder / "Data" / "AllImages_release.mat", {"AllImages_release": cells})
    savemat(folder / "Data" / "AllMOS_release.mat", {"AllMOS_release": mos})
    savemat(folder / "Data" / "AllStdDev_release.mat", {"AllStdDev_release": mos / 4})
    return folder


def agiqa(folder: Path) -> Path:
    """AGIQA-3K: the first row is the published one."""
    header = "name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align"
    rows = [
        ("AttnGAN_normal_000.jpg", "statue of a man", "", "", "", 0.965602553, 0.223270101, 0.4, 0.6),
        ("DALLE2_000.jpg", "statue of a man", "", "", "", 3.1, 0.4, 2.9, 0.5),
        ("midjourney_normal_000.jpg", '"a pizza, sci-fi style"', "", "", "sci-fi style", 4.2, 0.3, 3.0, 0.6),
        ("sd1.5_normal_000.jpg", "house of the dragon", "", "", "", 2.0, 0.5, 2.0, 0.7),
        ("xl2.2_normal_000.jpg", "house of the dragon", "", "", "", 3.7, 0.5, 3.0, 0.7),
    ]
    draw(folder, [row[0] for row in rows])
    table(folder / "data.csv", header, rows)
    return folder


CSIQ_ROWS = [(1600, "noise", 1, 0.05, 0.061989), (1600, "noise", 5, 0.1, 0.46748)] + [
    ("boston", "jpeg 2000", 1, 0.02, 0.02),
    ("boston", "jpeg 2000", 5, 0.1, 0.83),
    ("boston", "contrast", 3, 0.1, 0.3),
]


def csiq(folder: Path, excel: bool = True, turned: bool = False) -> Path:
    """CSIQ: the workbook has its table on the sheet all_by_image, three columns in and below three lines; one sheet is before it."""
    rows = [(*row[:4], 1 - row[4]) if turned else row for row in CSIQ_ROWS]
    names = ["AWGN/1600.AWGN.1.png", "AWGN/1600.AWGN.5.png", "jpeg2000/boston.jpeg2000.1.png"]
    draw(folder / "dst_imgs", [*names, "jpeg2000/boston.jpeg2000.5.png", "contrast/boston.contrast.3.png"])
    header = ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    lines = [header] + [[image, 1, kind, level, std, dmos] for image, kind, level, std, dmos in rows]
    if excel:
        shifted = [[""], ["CSIQ"], [""], *([None, None, None, *line] for line in lines)]
        workbook(folder / "csiq.DMOS.xlsx", {"all": [["other"]], "all_by_image": shifted})
    else:
        table(folder / "csiq.DMOS.csv", ",".join(header), lines[1:])
    return folder


def biq2021(folder: Path) -> Path:
    """BIQ2021: the training file's lines end in two empty cells, and one suffix differs in case."""
    train, test = ["ss01 (1).jpg", "ss02 (2).jpg", "ss03 (3).jpg"], ["ss01 (151).jpg", "ss03 (954).jpg"]
    draw(folder / "Images", [*train[:2], "ss03 (3).JPG", *test])
    table(
        folder / "Train (Images and MOS).csv",
        "Image Name,MOS,,",
        [(n, 0.2 + k / 4, "", "") for k, n in enumerate(train)],
    )
    table(folder / "Test (Images and MOS).csv", "Image Name,MOS", [(n, 0.1 + k / 2) for k, n in enumerate(test)])
    return folder


def workbook(path: Path, sheets: dict) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
