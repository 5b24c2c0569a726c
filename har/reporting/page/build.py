"""The page of a profile: index.html with all tables, and a folder of photographs and data beside it.

Everything that comes from annotations is escaped in HTML and set as text by the scripts; the page allows itself no
inline script or style and nothing from elsewhere (Content-Security-Policy).
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from har.config.report import Page
from har.core.files import write_bytes, write_text
from har.data import sources
from har.reporting import glossary
from har.reporting.answers import findings
from har.reporting.contents import PAPERS, Part, Section, anchor, sections_in, title_of
from har.reporting.names import class_name
from har.reporting.page import charts, gallery
from har.reporting.page.html import prose, render, table_id
from har.reporting.page.relevance import read_maps
from har.reporting.page.scripts import packed, write_script
from har.reporting.page.thumbnails import write_photographs
from har.reporting.style import size_of

STATIC = ("page.css", "page.js", "gallery.js", "detail.js", "icon.svg")
DEVIATIONS = "Where we leave the paper, and why"
COPIED = (
    " They are copied to this folder for reading results, and are not part of the project: ask their authors before "
    "passing them on."
)
FOLDED = Markup('<details class="more-of"><summary>All rows: {}</summary>\n{}</details>')
TAKE = Markup('<p class="take"><a href="{}" download>Numbers as CSV</a> · <a href="#{}">Link to this table</a></p>')
STRIP = 4  # images of each class at the top of the page
# a drawing that tells its numbers takes the place of the picture: figure -> task, table
CHARTS = {
    "figures/accuracy_activity.svg": ("activity", "tables/table7.csv"),
    "figures/accuracy_posture.svg": ("posture", "tables/table5.csv"),
}


@dataclass(frozen=True)
class Source:
    """What the page shows: manifest and evidence (har.data.manifest), split (har.data.split), predictions by
    (task, model), tasks and their classes, the folder of the photographs that the manifest names, and `explain`, that
    of maps, which need not exist. `header` tells which profile made the numbers; `images` where they come
    from.
    """

    profile: str
    header: str
    images: sources.Source
    manifest: pd.DataFrame
    split: pd.DataFrame
    evidence: pd.DataFrame
    tasks: Mapping[str, Sequence[str]]
    predictions: Mapping[tuple[str, str], pd.DataFrame]
    photographs: Path
    explain: Path
    traits: pd.DataFrame | None = None  # gallery.read_traits
    factors: Sequence[Mapping] = ()  # har.studies.error_analysis.factors.image_bins
    embeddings: Path | None = None  # of the encoder whose map of the images is shown
    papers: bool = True  # the images are the paper's
    unit: str = "images"  # what predictions are of (har.config.data.Data.unit)
    about: str = ""  # what made it and how to cite it, in Markdown
    deviations: str = ""  # where the project leaves the paper and why, in Markdown


def build(source: Source, reports: Path, settings: Page, folder: Path | None = None) -> Path:
    """Write index.html and page/ into `folder` (that of the reports, if None); the same inputs give the same bytes.

    Args:
        source: what it shows.
        reports: the folder of tables (their HTML) and figures.
        settings: of the photographs.
        folder: where the page and the figures that it links to lie.

    Returns:
        The page.
    """
    folder = reports if folder is None else folder
    out = folder / "page"
    shutil.rmtree(out, ignore_errors=True)  # nothing of another run stays
    every = source.manifest.sort_values("image_id", ignore_index=True)
    manifest = gallery.of_clips(every)
    images = gallery.images(manifest, source.split, source.tasks)
    known = np.array(images["id"]), np.array(images["label"]), images["classes"]
    answers = [gallery.answers(*key, frame, *known) for key, frame in source.predictions.items()]
    files = zip(every.image_id, map(source.photographs.joinpath, every.file_name), strict=True)
    write_photographs(files, len(every), out, settings, turn=source.images.listing is not None)
    maps = {}
    for model in sorted(path.parent for path in source.explain.glob("*/maps.npy")):
        found = read_maps(model, images["id"], images["classes"])
        write_script(out / "maps" / f"{model.name}.js", f"maps/{model.name}", found)
        maps[model.name] = {"classes": found["classes"], "method": found["method"]}
    about = {"profile": source.profile, "generated": source.images.drawn, "maps": maps}
    about["factors"] = [one | {"of": packed(one["of"][images["id"]], "u1")} for one in source.factors]
    about["plane"] = gallery.plane(source.embeddings, images["id"]) if source.embeddings else None
    write_script(out / "data/images.js", "images", about | images)
    tested = np.isin(np.array(images["splits"])[images["split"]], ("test", "extended"))
    tallies = gallery.tallies(answers, list(source.tasks), known[1], tested)
    write_script(out / "data/models.js", "models", {"models": [one.about for one in answers], "tallies": tallies})
    for one in answers:
        write_script(out / f"data/models/{one.key}.js", f"models/{one.key}", one.summary())
    parts = gallery.parts(manifest, source.evidence, images["classes"], source.traits)
    for number, part in enumerate(parts):
        write_script(out / f"data/images/{number}.js", f"images/{number}", part)
        runs = {one.key: one.part(number * gallery.PART) for one in answers}
        write_script(out / f"data/answers/{number}.js", f"answers/{number}", runs)
    static = resources.files("har.reporting.page") / "static"
    for name in STATIC:
        write_bytes(out / name, (static / name).read_bytes())
    index = folder / "index.html"
    write_text(index, document(source, images, sections_in(reports, source.papers, source.unit), reports))
    return index


def document(source: Source, images: Mapping, sections: Sequence[Section], reports: Path) -> str:
    """The page. images: of all, by gallery.images."""
    body = []

    def add(anchor: str, title: str, *parts: Markup, answers: Sequence[str] = ()) -> None:
        body.append({"anchor": anchor, "title": title, "answers": answers, "parts": parts})

    lead = next((figure for section in sections[:1] for figure in section.figures), None)
    for section in sections:
        parts = [_figure(one, source, reports) for one in section.figures if one is not lead]
        parts += [_table(one, one is not section.tables[0], source, images, reports) for one in section.tables]
        add(section.anchor, section.title, prose(section.intro), *parts, answers=section.answers)
        if source.deviations and section.title == PAPERS:
            add(anchor(DEVIATIONS), DEVIATIONS, Markup(), prose(source.deviations))
    add("glossary", "Glossary", Markup(), prose(glossary.markdown()))
    add("this-run", "This run, and how to cite it", Markup(), prose(source.about))
    parts = pd.Series(images["split"]).map(dict(enumerate(images["splits"]))).value_counts()
    counts = [f"{parts[name]:,} {name}" for name in images["splits"] if name in parts]
    task, count, drawn = next(iter(source.tasks), ""), f"{len(images['id']):,}", source.images.drawn
    noun = "scenes" if drawn and source.unit == "images" else source.unit
    return render(
        "index.html.jinja",
        source=source,
        question=question(source.tasks.get(task) or images["classes"]),
        findings=findings(reports, task, len(source.tasks[task]), source.unit) if task else [],
        header=source.header[0].upper() + source.header[1:] + ".",
        noun=noun,
        extended="extended" in parts,
        facts=[f"{count} {'drawn ' if drawn else ''}{noun}", *counts, f"{len(source.predictions)} sets of predictions"],
        lead=_figure(lead, source, reports) if lead else "",
        strip=_strip(images, source.evidence),
        sections=body,
        count=count,
        rights=source.images.rights + ("" if drawn else COPIED),
    )


def question(classes: Sequence[str]) -> str:
    """What the models are asked: the page's heading."""
    if len(classes) not in range(1, 5):
        return f"Which of {len(classes)} activities?"
    *others, last = map(class_name, classes)
    asked = f"{', '.join(others)} or {last}?" if others else f"{last}?"
    return asked[0].upper() + asked[1:]


def _table(part: Part, folded: bool, source: Source, images: Mapping, reports: Path) -> Markup:
    path = reports / part.path
    title = title_of(path)
    table = Markup(path.with_suffix(".html").read_text(encoding="utf-8"))  # escaped by Table.html
    if path.with_suffix(".csv").exists():
        table += TAKE.format(part.path[:-2] + "csv", table_id(title))
    if part.path == "funnel.md":
        names = dict(zip(images["classes"], images["classNames"], strict=True))
        return charts.funnel(reports / "funnel.csv", title, names, table, own=source.images.listing is not None)
    return FOLDED.format(title, table) if folded else table


def _figure(part: Part, source: Source, reports: Path) -> Markup:
    task, table = CHARTS.get(part.path, ("", ""))
    if task in source.tasks and (reports / table).exists():
        return charts.accuracy(reports / table, task, len(source.tasks[task]), part.caption, source.unit)
    width, height = size_of(reports / part.path)
    return render("figure.html.jinja", figure=part, images=gallery.address(part.path), width=width, height=height)


def _strip(images: Mapping, evidence: pd.DataFrame) -> list[dict]:
    """The first images of each class that no model was trained on, class by class in turn, each with its first caption:
    those at the top of the page."""
    told = [i for i, part in enumerate(images["split"]) if images["splits"][part] != "train"]
    first = min((classes for classes in images["tasks"].values()), key=lambda c: -len(c), default=[])
    columns = [[i for i in told if images["label"][i] == number][:STRIP] for number in first]
    places = [column[k] for k in range(STRIP) for column in columns if k < len(column)]
    captions = evidence.sort_values("caption_index").drop_duplicates("image_id").set_index("image_id").caption
    return [
        {
            "id": images["id"][i],
            "caption": captions.get(images["id"][i], ""),
            "label": images["classNames"][images["label"][i]],
        }
        for i in places
    ]
