"""Published data sets, read from the folders in which they are handed out: what a folder holds is detected from its files.

Each set has its scale, and a table that is on another one is refused. Higher is better everywhere: CSIQ's DMOS is turned over.
Traps that the table below takes care of:

* KADID-10k calls its column `dmos`, but it is the mean of ratings from 1 (worst) to 5 (best). Its column `var` is a standard
  deviation: with the first two published rows, 30 integer ratings that have this mean give the figure as a population std and
  cannot give it as a variance.
* KonIQ-10k's koniq10k_distributions_sets.csv has a `MOS` of about 0 to 100 beside an `SD` on 1 to 5. The MOS on 1 to 5 is the mean
  of the distribution c1..c5, in that file and as `MOS` of koniq10k_scores_and_distributions.csv. A row of the latter in which
  they disagree is refused: figures that were turned over show nowhere else.
* LIVE-Wild's first seven images trained the raters; they are left out, as everybody does.

Where the layouts come from: KonIQ-10k from subpic/koniq (the sets file; all 10,073 rows agree with the above) and from programs that
read the scores file, which itself was not at hand (its MOS could be held against c1..c5 in no real row); AGIQA-3K from
lcysyzxdxc/AGIQA-3k-Database (its MOS span 0 to 4.49; that the scale ends at 5 is said in the paper and not in the file); LIVE-Wild
from the README of its release; BIQ2021 from a clone. SPAQ's, KADID-10k's and CSIQ's archives could not be opened when this was
written: their layouts are those that several independent public programs read.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import mean

from model.common.errors import DataError, first_line
from model.common.scale import Scale
from model.datasets import biq2021
from model.datasets.image_paths import find_in
from model.datasets.rated import RatedImage
from model.datasets.tables import has_columns, read_table

FEW, MANY = 5, 500  # rows from which a span says something of the scale, and from which it must be wide
TEST_SHARE = 0.2  # of AGIQA-3K's prompts
AGREES = 0.02  # of KonIQ's MOS and the mean of its ratings, both on 1 to 5, whatever they were rounded to
NARROW_OF_FEW, NARROW_OF_MANY = 0.05, 0.5  # of the scale


@dataclass(frozen=True)
class Row:
    """One image as its set publishes it; `level`: how strong the degradation is, where there are levels."""

    image: str
    mos: float
    std: float | None = None
    n: int | None = None
    split: str = ""
    part: str = ""
    content: str = ""
    level: int | None = None


@dataclass(frozen=True)
class Published:
    """A published data set: how its folder is recognised and read.

    tables: names of the file that tells it, any of which will do. columns: of that file, where other sets may have one of that name.
    images: where the images lie, from the folder of the table or the one above. scale: of the published figures; falls: lower is
    better there.
    """

    name: str
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    images: tuple[str, ...]
    scale: Scale
    rows: Callable[[Path], Iterable[Row]]
    falls: bool = False


def koniq_rows(table: Path) -> Iterator[Row]:
    """KonIQ-10k (Hosu et al. 2020): about 120 ratings an image; split 7,058/1,000/2,015 in koniq10k_distributions_sets.csv."""
    sets = table.parent / "koniq10k_distributions_sets.csv"
    splits = (
        {row.text("image_name"): row.text("set") for row in read_table(sets, ["image_name", "set"])}
        if sets.is_file()
        else {}
    )
    counts = [f"c{score}" for score in range(1, 6)]
    for row in read_table(table, ["image_name", *counts, "mos", "sd"]):
        given = [row.number(column) for column in counts]
        rated_mean = sum(score * count for score, count in enumerate(given, 1)) / (sum(given) or 1)
        mos = rated_mean if table == sets else row.number("mos")
        if 1 <= mos <= 5 and abs(mos - rated_mean) > AGREES:  # one that is outside is told by check_scale
            raise row.error(
                f"the MOS of {row.text('image_name')} is {mos:.3f}, and the mean of its ratings c1 to c5 is {rated_mean:.3f}: "
                "take the published table"
            )
        yield Row(
            row.text("image_name"),
            mos,
            row.number("sd"),
            round(row.number("c_total")) if row.text("c_total") else round(sum(given)),
            splits.get(row.text("image_name"), ""),
        )


def spaq_rows(table: Path) -> Iterator[Row]:
    """SPAQ (Fang et al. 2020): 11,125 smartphone photographs, MOS 0 to 100; neither spread nor a split is published."""
    for row in read_table(table, ["image name", "mos"]):
        yield Row(row.text("image name"), row.number("mos"))


def kadid_rows(table: Path) -> Iterator[Row]:
    """KADID-10k (Lin et al. 2019): 81 images x 25 degradations x 5 levels, 30 ratings each; no split is published."""
    for row in read_table(table, ["dist_img", "ref_img", "dmos"]):
        name = row.text("dist_img")
        match name.split(".")[0].split("_"):
            case [_, degradation, level] if level.isdecimal():
                part, strength = degradation, int(level)
            case _:
                raise row.error(f"{name} is not named as KADID-10k's images are, such as I01_05_03.png")
        yield Row(
            name, row.number("dmos"), row.optional("var"), 30, part=part, content=row.text("ref_img"), level=strength
        )


def live_wild_rows(table: Path) -> Iterator[Row]:
    """LIVE In the Wild Challenge (Ghadiyaram & Bovik 2016): 1,162 photographs, MOS 0 to 100; n is the average, 175; no split."""
    from scipy.io import loadmat

    def vector(name: str) -> list:
        path = table.with_name(f"{name}.mat")
        try:
            return loadmat(path)[name].ravel().tolist()
        except Exception as error:  # scipy raises whatever the broken part of the file brings about
            raise DataError(
                f"{path} is not readable or has no {name} ({first_line(error)}): copy LIVE-Wild's folder Data again"
            ) from error

    vectors = [vector(f"{name}_release") for name in ("AllImages", "AllMOS", "AllStdDev")]
    if len({len(values) for values in vectors}) > 1:
        raise DataError(
            f"{table.parent}: its three .mat files are of different lengths: copy LIVE-Wild's folder Data again"
        )
    for image, mos, std in zip(*vectors, strict=True):
        name = str(image[0])
        if not name.startswith("t"):
            yield Row(name, float(mos), float(std), 175)


def agiqa_rows(table: Path) -> Iterator[Row]:
    """AGIQA-3K (Li et al. 2023): 2,982 generated images of 300 prompts, quality MOS; parts are the generators, contents the prompts.

    The paper's 21 raters rated every image; n is this number. No split is published: a fifth of the prompts, chosen by a hash of their
    words, is the test split here, with all images of each, so that a test image's twins by other generators are not trained on.
    """
    for row in read_table(table, ["name", "prompt", "mos_quality", "std_quality"]):
        name, prompt = row.text("name"), row.text("prompt")
        yield Row(
            name,
            row.number("mos_quality"),
            row.number("std_quality"),
            21,
            split="test" if sha256(prompt.encode()).digest()[0] < TEST_SHARE * 256 else "training",
            part=name.split("_")[0],
            content=prompt,
        )


CSIQ_TOKENS = {
    "noise": "AWGN",
    "blur": "BLUR",
    "contrast": "contrast",
    "fnoise": "fnoise",
    "jpeg": "JPEG",
    "jpeg 2000": "jpeg2000",
}


def csiq_rows(table: Path) -> Iterator[Row]:
    """CSIQ (Larson & Chandler 2010): 30 images with six degradations, DMOS 0 (best) to 1; ratings an image and split unpublished.

    The table names no files: the image of (1600, jpeg 2000, 3) is 1600.jpeg2000.3.png.
    """
    for row in read_table(table, ["image", "dst_type", "dst_lev", "dmos"], sheet="all_by_image"):
        kind, level = row.text("dst_type").lower(), int(row.number("dst_lev"))
        content = row.text("image").removesuffix(".0")  # a spreadsheet takes the image 1600 for a number
        if kind not in CSIQ_TOKENS:
            raise row.error(f"'{kind}' is not one of CSIQ's degradations: {', '.join(CSIQ_TOKENS)}")
        yield Row(
            f"{content}.{CSIQ_TOKENS[kind]}.{level}.png",
            row.number("dmos"),
            row.optional("dmos_std"),
            part=kind,
            content=content,
            level=level,
        )


SETS = (
    Published(
        "KonIQ-10k",
        ("koniq10k_scores_and_distributions.csv", "koniq10k_distributions_sets.csv"),
        (),
        ("1024x768", "512x384", "images"),
        Scale(1, 5),
        koniq_rows,
    ),
    Published(
        "SPAQ",
        tuple(
            f"{folder}MOS and Image attribute scores{suffix}"
            for folder in ("", "Annotations/")
            for suffix in (".csv", ".xlsx")
        ),
        (),
        ("TestImage",),
        Scale(0, 100),
        spaq_rows,
    ),
    Published(
        "KADID-10k", ("dmos.csv",), ("dist_img", "dmos"), ("images", "distorted_images"), Scale(1, 5), kadid_rows
    ),
    Published("LIVE-Wild", ("Data/AllMOS_release.mat",), (), ("Images",), Scale(0, 100), live_wild_rows),
    Published(
        "AGIQA-3K",
        ("data.csv",),
        ("name", "mos_quality"),
        ("", "AGIQA-3K", "ACGIQA-3K", "images"),
        Scale(0, 5),
        agiqa_rows,
    ),
    Published(
        "CSIQ",
        ("csiq.DMOS.csv", "csiq.DMOS.xlsx"),
        (),
        ("dst_imgs", "dst_imgs_all", "distorted_images"),
        Scale(0, 1),
        csiq_rows,
        falls=True,
    ),
)


def read_published(folder: Path) -> list[RatedImage]:
    """The data set that a folder, or a folder directly in it, holds, on the set's own scale with higher better.

    Raises DataError for a folder with none, labels that cannot be read, and figures on another scale or upside down.
    """
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    for place in places:
        if biq2021.table_of(place, "Test").is_file():
            return [image for part in biq2021.SPLITS for image in biq2021.read_part(place, part)]
        for published in SETS:
            for table in (place / name for name in published.tables):
                if table.is_file() and (not published.columns or has_columns(table, published.columns)):
                    return rated_images(published, table)
    known = ", ".join([published.name for published in SETS] + [biq2021.NAME])
    raise DataError(
        f"{folder} holds no data set that is known here ({known}), neither itself nor in a folder of it; labels of your own go "
        "into a labels.csv with the columns image and mos"
    )


def rated_images(published: Published, table: Path) -> list[RatedImage]:
    """The rated images of one published set's table. Raises DataError as read_published does."""
    rows = list(published.rows(table))
    if not rows:
        raise DataError(f"{table} has no rows below its first line: there is nothing to evaluate")
    check_scale(published, table, rows)
    low, high = published.scale
    above = (table.parent, table.parent.parent)
    folders = [place / name for place in above for name in published.images]
    return [
        RatedImage(
            image=path,
            mos=low + high - row.mos if published.falls else row.mos,
            std=row.std,
            n=row.n,
            scale=Scale(float(low), float(high)),
            dataset=published.name,
            split=row.split,
            part=row.part,
            content=row.content,
        )
        for path, row in zip(find_in(folders, [row.image for row in rows]), rows, strict=True)
    ]


def check_scale(published: Published, table: Path, rows: list[Row]) -> None:
    """Raises DataError for figures outside of the set's scale, in too narrow a part of it to be on it, or upside down."""
    low, high = published.scale
    what, expected = "DMOS" if published.falls else "MOS", f"{published.name}'s lie in {low:g} to {high:g}"
    for row in rows:
        if not low <= row.mos <= high:
            raise DataError(
                f"{table}: the {what} of {row.image} is {row.mos:g}, and {expected}: take the published table"
            )
    worst, best = min(row.mos for row in rows), max(row.mos for row in rows)
    narrow = NARROW_OF_MANY if len(rows) >= MANY else NARROW_OF_FEW if len(rows) >= FEW else 0
    if best - worst < narrow * (high - low):
        raise DataError(
            f"{table}: its {len(rows)} {what} all lie in {worst:g} to {best:g}, and {expected}: were they put on another scale?"
        )
    by_level = {row.level: [other.mos for other in rows if other.level == row.level] for row in rows if row.level}
    if len(by_level) > 1:
        mild, strong = (mean(by_level[level]) for level in (min(by_level), max(by_level)))
        if (mild < strong) != published.falls:
            direction = "falls" if published.falls else "rises"
            raise DataError(
                f"{table}: the mean {what} is {mild:.2f} where the degradation is mildest and {strong:.2f} where it is strongest, "
                f"and {published.name}'s {direction} with quality: were they turned over?"
            )
