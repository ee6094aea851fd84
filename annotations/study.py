"""Studies from the command line: `python -m annotations.study`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from annotations.command_line import add_data_dir, follow
from annotations.errors import AnnotationError
from annotations.store import open_annotations
from annotations.studies.archive import restore_archive
from annotations.studies.export_formats import report_csv
from annotations.studies.importing import import_ratings
from annotations.studies.lifecycle import keep_study
from annotations.studies.progress import study_progress
from annotations.studies.report import make_report
from annotations.studies.report_in_words import in_words
from annotations.studies.study import Study, list_studies

STATES = {"open": "open", "pause": "paused", "close": "closed"}


def new(arguments: argparse.Namespace) -> None:
    """Keeps a study, or the next version of one, and says what it holds."""
    open_annotations(arguments.data_dir)
    kept = keep_study(arguments.data_dir.absolute(), arguments.file)
    images = ", ".join(f"{count} {kind}" for kind, count in kept.images.items())
    print(f"{kept.study}: version {kept.number}, {kept.state}; images: {images}")
    if kept.copies:
        print(
            f"{len(kept.copies)} files were left out, since others have the same content: {', '.join(kept.copies[:5])}"
        )


def change(arguments: argparse.Namespace) -> None:
    """Opens, pauses or closes a study."""
    study = _study(arguments)
    study.set_state(STATES[arguments.command])
    print(f"{study.name}: {study.state()}")


def status(arguments: argparse.Namespace) -> None:
    """A line for each study, or the lines of one."""
    open_annotations(arguments.data_dir)
    names = [arguments.name] if arguments.name else list_studies(arguments.data_dir.absolute())
    if not names:
        raise AnnotationError(f"There are no studies in {arguments.data_dir} yet: make one with `new FILE`.")
    for name in names:
        print(study_progress(arguments.data_dir.absolute(), name))


def report(arguments: argparse.Namespace) -> None:
    """What became of the ratings: a summary, all of it as JSON, or one table as CSV."""
    open_annotations(arguments.data_dir)
    found = make_report(arguments.data_dir.absolute(), arguments.name)
    if arguments.format == "json":
        print(json.dumps(asdict(found), ensure_ascii=False, allow_nan=False))
    elif arguments.format == "text":
        print(in_words(found))
    else:
        sys.stdout.write(report_csv(found, arguments.format))


def decision(arguments: argparse.Namespace) -> None:
    """Keeps the owner's word about a rater or a rating."""
    study = _study(arguments)
    study.decide(arguments.rater, arguments.command == "use", arguments.reason, rating=arguments.rating)
    what = (
        f"rating {arguments.rating} of {arguments.rater}" if arguments.rating else f"the ratings of {arguments.rater}"
    )
    print(f"{study.name}: {what}: {'used' if arguments.command == 'use' else 'left out'}")


def reopen(arguments: argparse.Namespace) -> None:
    """Opens a study for the images that are short of ratings that are used."""
    study = _study(arguments)
    print(f"{study.name}: open; {study.reopen_short()} images are short of ratings")


def take_in(arguments: argparse.Namespace) -> None:
    """Imports ratings that were given elsewhere."""
    study = _study(arguments)
    print(f"{study.name}: {import_ratings(study.data_dir, study.name, arguments.file)} ratings imported")


def restore(arguments: argparse.Namespace) -> None:
    """Reads a study's zip into an empty data folder."""
    open_annotations(arguments.data_dir)
    print(f"{restore_archive(arguments.data_dir.absolute(), arguments.file)}: restored")


def _study(arguments: argparse.Namespace) -> Study:
    open_annotations(arguments.data_dir)
    return Study(arguments.data_dir.absolute(), arguments.name)


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m annotations.study",
        description="Rating studies: make one from a YAML file, open it to raters, see how far it is. docs/studies.md has the fields.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("new", help="keep the study that a YAML file defines, as a draft or as the next version")
    one.add_argument("file", type=Path, metavar="FILE")
    one.set_defaults(act=new)
    for name, what in [
        ("open", "let raters in"),
        ("pause", "let no rater in for now"),
        ("close", "end it: no more ratings"),
    ]:
        one = commands.add_parser(name, help=what)
        one.add_argument("name", metavar="NAME")
        one.set_defaults(act=change)
    one = commands.add_parser("status", help="state, images and ratings of all studies or of one")
    one.add_argument("name", metavar="NAME", nargs="?")
    one.set_defaults(act=status)
    one = commands.add_parser("report", help="MOS, agreement, raters, and what is left out and why")
    one.add_argument("name", metavar="NAME")
    one.add_argument(
        "--format",
        choices=["text", "json", "images", "raters", "left-out"],
        default="text",
        help="a summary, everything, or one table as CSV (default: text)",
    )
    one.set_defaults(act=report)
    for name, what in [
        ("leave-out", "do not use the ratings of a rater, or one of them"),
        ("use", "use them, whatever the rules say"),
    ]:
        one = commands.add_parser(name, help=what)
        one.add_argument("name", metavar="NAME")
        one.add_argument("rater", metavar="RATER")
        one.add_argument("--rating", type=int, metavar="ID", help="only this one, by its id in the table left-out")
        one.add_argument("--reason", required=True, help="kept with the decision")
        one.set_defaults(act=decision)
    one = commands.add_parser(
        "reopen", help="let raters in for the images that are short of ratings, not counting those that are not used"
    )
    one.add_argument("name", metavar="NAME")
    one.set_defaults(act=reopen)
    one = commands.add_parser("import", help="take ratings from a CSV file with the columns image, rater, rating")
    one.add_argument("name", metavar="NAME")
    one.add_argument("file", type=Path, metavar="FILE")
    one.set_defaults(act=take_in)
    one = commands.add_parser("restore", help="read a study's zip into an empty data folder")
    one.add_argument("file", type=Path, metavar="FILE")
    one.set_defaults(act=restore)
    for one in commands.choices.values():
        add_data_dir(one)
    return follow(parser, lambda arguments: arguments.act(arguments))


if __name__ == "__main__":
    sys.exit(main())
