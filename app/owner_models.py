"""Models against the people of a study: agreement with its MOS, the worst disagreements, and how many raters each model is worth."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from annotations import Annotations, ShownScore
from annotations.studies.report import ImageFigures, Report
from annotations.studies.study import Study
from app import cards, owner_figures
from app.browser import browser_of
from app.errors import Refused
from app.loaded_scorers import Scorers
from app.owner_reports import Reports
from app.owner_results import figure
from app.rated_scores import RatedScores
from app.settings import Settings
from app.shown_images import file_uri
from app.shown_names import short
from model.common.errors import DataError, ImageError

if TYPE_CHECKING:
    pass

LOOK_AGAIN = 1.0  # seconds, while images are being scored
FEWEST = 3  # images with a MOS
WORST = 12
SIDE = 320  # pixels of the images in the gallery
SAID = (
    "<p class='small'>Scores are put onto the study's scale in a straight line. RMSE is after the logistic fit of ITU-T P.1401, in points "
    "of the scale. Worth: how many raters' mean is as far from the truth as the model (docs/studies.md).</p>"
)


@dataclass(frozen=True)
class Agreement:
    """A model's scores of a study's rated images, on the study's scale."""

    model: str
    images: list[ImageFigures]
    scores: list[float]

    def row(self) -> str:
        """Its row in the table."""
        from model.evaluation.metrics import figures

        found = figures(self.scores, [image.mos for image in self.images if image.mos is not None])
        cells = [f"{figure(found[key])}{_interval(found['intervals'][key])}" for key in ("plcc", "srcc", "rmse")]
        shown = "".join(f"<td>{cell}</td>" for cell in (*cells, escape(self._worth())))
        return f'<tr><th scope="row">{escape(short(self.model))}</th><td>{len(self.images)}</td>{shown}</tr>'

    def worst(self) -> list[int]:
        """The positions of the largest disagreements."""
        gaps = [abs(score - (image.mos or 0)) for score, image in zip(self.scores, self.images, strict=True)]
        return sorted(range(len(gaps)), key=lambda n: -gaps[n])[:WORST]

    def _worth(self) -> str:
        from model.evaluation.raters import scorers_worth

        some = [(score, one) for score, one in zip(self.scores, self.images, strict=True) if one.std is not None]
        try:
            found = scorers_worth(
                [score for score, _ in some], *([getattr(one, name) for _, one in some] for name in ("mos", "std", "n"))
            )
        except DataError as error:
            return str(error)
        worth, ends = found["by_correlation"], (found["intervals"] or {}).get("by_correlation")
        inside = f" ({_end(ends[0])} to {_end(ends[1])})" if ends else ""
        return ("more than can be told" if worth is None else f"{worth:.1f} raters") + inside


def _interval(ends: list[float] | None) -> str:
    return f'<div class="small">{figure(ends[0])} to {figure(ends[1])}</div>' if ends else ""


def _end(value: float | None) -> str:
    return "∞" if value is None else f"{value:.1f}"


class Models:
    """The scorers' scores of studies' images, computed in the background and kept while the page is open."""

    def __init__(self, settings: Settings, scorers: Scorers, annotations: Annotations, reports: Reports) -> None:
        self.settings, self.scorers, self.annotations, self.reports = settings, scorers, annotations, reports
        self._scores = RatedScores()

    def compare(self, name: str, specs: list[str], browser: str) -> list:
        """Table, chart, gallery, and whether to look again soon. Raises ModelError, AnnotationError, Refused."""
        if not name or not specs:
            raise Refused("Choose the models to compare first.")
        report = self.reports.of(name, patience=30).report
        files = Study(self.settings.data_dir.absolute(), name).image_paths()
        rated = [image for image in report.images if image.mos is not None and image.sha256 in files] if report else []
        if report is None or len(rated) < FEWEST:
            return [
                cards.empty(f"At least {FEWEST} images need ratings that are used."),
                gr.Plot(visible=False),
                "",
                gr.Timer(active=False),
            ]
        found, to_come = [], 0
        for spec in specs:
            so_far = self._scores.of(self.scorers.get(spec), {image.sha256: files[image.sha256] for image in rated})
            to_come += so_far.to_come
            found.append(_agreement(spec, report, rated, so_far.scores))
        if to_come:
            said = cards.empty(f"Scoring: {len(specs) * len(rated) - to_come} of {len(specs) * len(rated)} done.")
            return [said, gr.Plot(visible=False), "", gr.Timer(active=True)]
        shown = found[-1]
        return [
            self._table(found),
            self._chart(shown, report),
            self._gallery(shown, files, report.scale, browser),
            gr.Timer(active=False),
        ]

    def _table(self, found: list[Agreement]) -> str:
        titles = ("Model", "Images", "PLCC", "SRCC", "RMSE", "Worth")
        head = "".join(f'<th scope="col">{title}</th>' for title in titles)
        return cards.table(
            "With 95 % intervals over the images.",
            head,
            "".join(one.row() for one in found if len(one.images) >= FEWEST),
        )

    def _chart(self, of: Agreement, report: Report) -> gr.Plot:
        halves = [
            (one.high - one.low) / 2 if one.high is not None and one.low is not None else 0.0 for one in of.images
        ]
        mos = [one.mos or 0.0 for one in of.images]
        return gr.Plot(
            owner_figures.people_and_model(of.scores, mos, halves, short(of.model), report.scale), visible=True
        )

    def _gallery(self, of: Agreement, files: dict[str, Path], scale: tuple[float, float], browser: str) -> str:
        """The images on which the last model and people disagree most. Whoever sees their scores does not rate them blind any more."""
        worst, revision = of.worst(), self.scorers.get(of.model).revision
        shown = [(of.images[n].sha256, ShownScore(of.model, revision, of.scores[n], scale)) for n in worst]
        self.annotations.note_exposures(shown, place="study", browser=browser)
        figures = "".join(_figure(of.images[n], of.scores[n], files[of.images[n].sha256]) for n in worst)
        return f"<h3>Where {escape(short(of.model))} and people disagree most</h3><div class='misses'>{figures}</div>"


def _agreement(spec: str, report: Report, rated: list[ImageFigures], scores: dict[str, float]) -> Agreement:
    low, high = report.scale
    images = [image for image in rated if image.sha256 in scores]
    return Agreement(spec, images, [low + (high - low) * (scores[image.sha256] - 1) / 4 for image in images])


def _figure(image: ImageFigures, score: float, path: Path) -> str:
    try:
        shown = f'<img src="{file_uri(path, SIDE)}" alt="">'
    except ImageError as error:
        shown = f'<span class="gone">{escape(str(error))}</span>'
    gap = score - (image.mos or 0)
    return (
        f"<figure>{shown}<figcaption><strong>{'+' if gap > 0 else '−'}{abs(gap):.2f}</strong> "
        f"score {score:.2f}, MOS {image.mos:.2f} ({image.n} ratings)<div class='small'>{escape(image.name)}</div></figcaption></figure>"
    )


def build(models: Models, owners: Callable, chosen: gr.Textbox) -> None:
    """Put the tab on the page. `chosen` has the study's name."""
    offered = models.settings.offered
    with gr.Tab("Models", id="owner-models-tab"):
        with gr.Row(equal_height=True):
            specs = gr.Dropdown(
                offered,
                value=offered[:1],
                multiselect=True,
                allow_custom_value=True,
                label="Models; the last one is drawn",
                elem_id="owner-specs",
                scale=4,
            )
            go = gr.Button("Compare", size="sm", scale=0, min_width=120, elem_id="owner-compare")
        gr.HTML(SAID)
        table = gr.HTML(elem_id="owner-agreement")
        chart = gr.Plot(visible=False, show_label=False, elem_id="owner-scatter", elem_classes="chart")
        gallery = gr.HTML(elem_id="owner-misses")
        again = gr.Timer(LOOK_AGAIN, active=False)

    @owners
    def compare(request: gr.Request, name: str, wanted: list[str] | None):
        return models.compare(name, wanted or [], browser_of(request))

    @owners
    def clear(request: gr.Request):
        return ["", gr.Plot(visible=False), "", gr.Timer(active=False)]

    outputs = [table, chart, gallery, again]
    go.click(compare, [chosen, specs], outputs, show_progress_on=table, api_visibility="private")
    again.tick(compare, [chosen, specs], outputs, show_progress="hidden", api_visibility="private")
    chosen.change(clear, None, outputs, show_progress="hidden", api_visibility="private")
