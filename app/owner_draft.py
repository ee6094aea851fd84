"""A study that its owner is writing: the images that came for it, and the YAML that the form makes."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from annotations import AnnotationError
from annotations.studies.definition import Definition, parse
from annotations.studies.lifecycle import NewVersion, keep_study
from annotations.studies.sources import Source, find_sources
from annotations.studies.study import Study
from app.shown_names import file_name
from model.common.errors import ImageError
from model.images.formats import SUFFIXES, image_kind
from model.scoring.assessment import Failure

UPLOADS = "images"  # the folder of what was uploaded, beside the YAML file
TABLES_AND_ARCHIVES = (".csv", ".zip")
NAME = "study.yaml"
MOST_BYTES = 20 * 2**30  # of one zip when unpacked
FIELDS = (
    "study",
    "title",
    "question",
    "scale",
    "labels",
    "ratings_per_image",
    "session_length",
    "instructions",
    "repeats",
    "blind",
    "reveal",
    "seed",
)


@dataclass
class Draft:
    """`files`: the images to choose from, by the path that the YAML has for them; `folders`: those on the server; `specials`: training,
    gold and trapping images by their field; `by_hand`: the YAML was edited since the form was. The folder is a temporary one."""

    files: dict[str, Path] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    specials: dict[str, list[dict]] = field(default_factory=lambda: {"training": [], "gold": [], "traps": []})
    by_hand: bool = False
    _folder: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the YAML file lies when it is kept; what was uploaded lies below."""
        if self._folder is None or not self._folder.is_dir():
            self._folder = Path(tempfile.mkdtemp(prefix="study-"))
            (self._folder / UPLOADS).mkdir()
        return self._folder

    def add(self, paths: Iterable[str]) -> list[Failure]:
        """Takes uploaded images, the images in zip files, and those that CSV files name; returns what is none and why."""
        failures = []
        for path in map(Path, paths):
            if path.suffix.lower() in TABLES_AND_ARCHIVES:
                failures += self._add_several(path)
            elif said := _fault(path):
                failures.append(Failure(file_name(path), said))
            else:
                self._link(path, file_name(path))
        return failures

    def add_folder(self, place: str) -> int:
        """Takes a folder on the server; returns how many images it has. Raises AnnotationError where there are none."""
        folder = str(Path(place.strip()).expanduser().absolute())
        found = find_sources(folder, Path("/"))
        if folder not in self.folders:
            self.folders.append(folder)
        self.files |= {str(source.path): source.path for source in found}
        return len(found)

    def change(self, study: Study) -> Definition:
        """Takes the images of a study as it is now, and its special images; returns its definition."""
        definition, files = study.definition(), study.image_paths()
        kept = [image for image in study.images() if image.sha256 in files]
        names = {image.sha256: self._link(files[image.sha256], image.name) for image in kept}
        for kind in self.specials:
            self.specials[kind] = [
                _special(names[image.sha256], image.accept, image.explanation)
                for image in kept
                if image.kind == kind.removesuffix("s")
            ]
        return definition

    def yaml(self, form: Mapping[str, Any]) -> str:
        """The definition that the form, the images and the special images make. `form` has FIELDS."""
        places = ([UPLOADS] if any(not Path(name).is_absolute() for name in self.files) else []) + self.folders
        values = {name: form[name] for name in FIELDS[:5]}
        values["images"] = places[0] if len(places) == 1 else places
        values |= {name: form[name] for name in FIELDS[5:8]}
        values |= {name: rows for name, rows in self.specials.items() if rows}
        values |= {name: form[name] for name in FIELDS[8:]}
        given = {name: value for name, value in values.items() if value not in ("", None)}
        return yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=100)

    def read(self, text: str) -> Definition:
        """The definition of edited YAML, whose special images are taken over. Raises AnnotationError that names the line."""
        definition = parse(text, NAME)
        self.specials = {
            "training": [_special(one.image, None, one.explanation) for one in definition.training],
            "gold": [_special(one.image, one.accept, None) for one in definition.gold],
            "traps": [_special(one.image, one.accept, None) for one in definition.traps],
        }
        self.folders = [place for place in definition.images if Path(place).is_absolute()]
        return definition

    def keep(self, data_dir: Path, text: str) -> NewVersion:
        """Makes the study, or its next version. Raises AnnotationError that names the line or the file."""
        file = self.folder / NAME
        file.write_text(text, encoding="utf-8")
        try:
            return keep_study(data_dir, file)
        except AnnotationError as error:
            raise AnnotationError(str(error).replace(f"{self.folder}{os.sep}", "")) from error

    def _add_several(self, path: Path) -> list[Failure]:
        """A CSV file's rows may name files that were uploaded before, or any on the server."""
        try:
            if path.suffix.lower() == ".csv":
                table = self.folder / UPLOADS / file_name(path)
                shutil.copyfile(path, table)
                found = find_sources(str(table), Path("/"))
                table.unlink()
            else:
                found = find_sources(str(path), Path("/"))
        except AnnotationError as error:
            return [Failure(file_name(path), _without(str(error), path.parent, self.folder / UPLOADS))]
        failures, size = [], 0
        for source in found:
            if source.member is None:
                self._take(source)
                continue
            try:
                data = source.read()
            except AnnotationError as error:
                failures.append(Failure(source.name, _without(str(error), path.parent)))
                continue
            size += len(data)
            if size > MOST_BYTES:
                failures.append(
                    Failure(file_name(path), f"it holds more than {MOST_BYTES >> 30} GiB; make several studies")
                )
                break
            self._write(data, source.name)
        return failures

    def _take(self, source: Source) -> None:
        if not source.path.resolve().is_relative_to((self.folder / UPLOADS).resolve()):
            self._link(source.path, source.path.name if Path(source.name).is_absolute() else source.name)

    def _link(self, path: Path, name: str) -> str:
        """Puts a file among the uploads without copying it where the system can; returns its path in the YAML."""
        place = self._place(name, path)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                place.symlink_to(path.absolute())
            except OSError:  # Windows asks for a privilege
                shutil.copyfile(path, place)
        return self._known(place, path)

    def _write(self, data: bytes, name: str) -> None:
        place = self._place(name, None)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        self._known(place, place)

    def _known(self, place: Path, path: Path) -> str:
        name = place.relative_to(self.folder).as_posix()
        self.files[name] = path
        return name

    def _place(self, name: str, path: Path | None) -> Path:
        """Where a file of this name goes: below the uploads whatever the name says, and beside another file of the same name."""
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
        place = self.folder.joinpath(UPLOADS, *parts)
        number = 1
        while (known := self.files.get(place.relative_to(self.folder).as_posix())) and known != path:
            number += 1
            place = self.folder.joinpath(UPLOADS, *parts).with_stem(f"{Path(name).stem}-{number}")
        return place


def form_of(definition: Definition) -> dict[str, Any]:
    """A definition's values of FIELDS."""
    scale = {"scale": definition.scale.kind, "labels": list(definition.scale.labels)}
    return {name: scale[name] if name in scale else getattr(definition, name) for name in FIELDS}


def special_of(kind: str, image: str, low: float, high: float, explanation: str) -> dict:
    """What the YAML says of a training image, or of a gold or trapping image whose right ratings are low to high."""
    return _special(image, None, explanation.strip()) if kind == "training" else _special(image, (low, high), None)


def _special(image: str, accept: tuple[float, float] | None, explanation: str | None) -> dict:
    if accept is None:
        return {"image": image} | ({"explanation": explanation} if explanation else {})
    low, high = (int(end) if end == int(end) else end for end in accept)
    return {"image": image, "accept": low if low == high else [low, high]}


def _fault(path: Path) -> str | None:
    """Why a file is no image, by its name and first bytes."""
    if path.suffix.lower() not in SUFFIXES:
        return "it is neither an image nor a zip or CSV file"
    with path.open("rb") as file:
        head = file.read(2**16)
    try:
        image_kind(head)
    except ImageError as error:
        return str(error)
    return None


def _without(said: str, *folders: Path) -> str:
    """A sentence without the temporary folders, which say nothing to an owner."""
    for folder in folders:
        said = said.replace(f"{folder}{os.sep}", "")
    return said
