"""The data of a study as files to download, and ratings from elsewhere into it."""

import os
import tempfile
from collections.abc import Callable
from html import escape
from pathlib import Path

import gradio as gr

from annotations import AnnotationError
from annotations.export import export_study
from annotations.studies.export_formats import report_csv
from annotations.studies.importing import import_ratings
from app.errors import Refused
from app.owner_reports import Reports
from app.shown_names import file_name

TABLES = {"raters": "Raters, as CSV", "left-out": "Ratings that are not used, as CSV"}
KINDS = {
    "csv": "MOS of each image, as CSV",
    "ratings": "Every rating, as CSV",
    **TABLES,
    "koniq": "KonIQ-10k's table",
    "qscorer-json": "Q-Scorer's meta JSON",
    "deqa-json": "DeQA-Score's meta JSON",
    "qalign-json": "Q-Align's meta JSON",
    "sureal-json": "sureal's JSON",
    "datasets": "Images and labels for Hugging Face datasets, a zip",
    "zip": "All of it: images, ratings and every event, a zip that can be restored",
}
SUFFIXES = {"datasets": ".zip", "zip": ".zip"}
IMPORT_SAID = (
    "<h3>Import ratings</h3><p class='small'>A CSV with the columns image (its name in the study), rater and rating. All lines are "
    "taken, or none. Each rating is kept with the name of the file.</p>"
)


def make_file(data_dir: Path, reports: Reports, name: str, kind: str) -> str:
    """The path of a new file of this kind. Raises AnnotationError, Refused."""
    if kind not in KINDS:
        raise Refused("Choose one of the files in the list.")
    suffix = SUFFIXES.get(kind, ".json" if kind.endswith("-json") else ".csv")
    out = Path(tempfile.mkdtemp(prefix="study-"), f"{name}.zip" if kind == "zip" else f"{name}-{kind}{suffix}")
    if kind in TABLES:
        report = reports.of(name, patience=60).report
        if report is None:
            raise Refused("The ratings are still being evaluated: try again in a minute.")
        out.write_text(report_csv(report, kind), encoding="utf-8")
    else:
        export_study(data_dir, name, kind, out)
    return str(out)


def build(data_dir: Path, reports: Reports, owners: Callable, chosen: gr.Textbox) -> None:
    """Put the tab on the page. `chosen` has the study's name."""
    with gr.Tab("Files", id="owner-files-tab"), gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=6, min_width=320):
            gr.HTML("<h3>Download</h3>")
            kind = gr.Radio(
                [(words, kind) for kind, words in KINDS.items()], value="csv", label="File", elem_id="owner-format"
            )
            make = gr.Button("Make the file", variant="primary", elem_id="owner-make")
            made = gr.File(label="Ready to download", interactive=False, visible=False, elem_id="owner-download")
        with gr.Column(scale=5, min_width=320):
            gr.HTML(IMPORT_SAID)
            given = gr.File(label="Ratings as CSV", file_types=[".csv"], height=130, elem_id="owner-import")

    @owners
    def write(request: gr.Request, name: str, wanted: str | None):
        return gr.File(make_file(data_dir, reports, name, wanted or ""), visible=True)

    @owners
    def take(request: gr.Request, name: str, path: str | None):
        if path is None:
            return gr.skip()
        try:
            count = import_ratings(data_dir, name, Path(path))
        except AnnotationError as error:
            raise AnnotationError(str(error).replace(f"{Path(path).parent}{os.sep}", "")) from error
        gr.Info(escape(f"{count} ratings of {file_name(path)} are kept."), title="Imported")
        return None

    make.click(write, [chosen, kind], made, api_visibility="private")
    given.upload(take, [chosen, given], given, api_visibility="private")
    chosen.change(lambda: gr.File(None, visible=False), None, made, show_progress="hidden", api_visibility="private")
