"""The page of a profile: index.html with all tables, and a folder of photographs and data beside it.

Everything that comes from annotations is escaped in HTML and set as text by the scripts; the page allows itself no
inline script or style and nothing from elsewhere (Content-Security-Policy).
"""

import html
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

import pandas as pd

from har.config.report import Page
from har.core.csv_rows import read_rows
from har.core.files import write_bytes, write_text
from har.reporting.contents import Figure, Section, anchor, sections_in
from har.reporting.page import charts, gallery, markdown
from har.reporting.page.relevance import read_maps
from har.reporting.page.scripts import write_script
from har.reporting.page.thumbnails import write_photographs

STATIC = ("page.css", "page.js", "gallery.js", "detail.js", "icon.svg")
DEVIATIONS = "Where we leave the paper, and why"
SIDE_BY_SIDE = "The paper and this project, side by side"
DEVIATIONS_AFTER = "The paper's tables"
STRIP = 4  # images of each class at the top of the page
# a drawing that tells its numbers takes the place of the picture: figure -> task, table
CHARTS = {
    "figures/accuracy_activity.png": ("activity", "tables/table7.csv"),
    "figures/accuracy_posture.png": ("posture", "tables/table5.csv"),
}


@dataclass(frozen=True)
class Source:
    """What the page shows: the files manifest and evidence (har.data.manifest), split (har.data.split), predictions by
    (task, model), tasks and their classes, the folder of the photographs that the manifest names, and `explain`, that
    of maps, which need not exist. `header` tells which profile made the numbers; `generated` images are nobody's
    photographs.
    """

    profile: str
    header: str
    generated: bool
    manifest: Path
    split: pd.DataFrame
    evidence: Path
    tasks: Mapping[str, Sequence[str]]
    predictions: Mapping[tuple[str, str], pd.DataFrame]
    photographs: Path
    explain: Path
    traits: pd.DataFrame | None = None  # gallery.read_traits
    papers: bool = True  # the classes are the paper's
    owned: bool = False  # the photographs are the user's own


def build(source: Source, reports: Path, settings: Page) -> Path:
    """Write reports/index.html and reports/page/ from `source` and the tables and figures in `reports`; returns the
    page. The same inputs give the same bytes."""
    out = reports / "page"
    shutil.rmtree(out, ignore_errors=True)  # nothing of another run stays
    images = gallery.images(source.manifest, source.split, source.tasks)
    answers = gallery.answers(source.predictions, images["id"], images["label"], images["classes"])
    names = read_rows(source.manifest, {"image_id": int, "file_name": str})
    photographs = ((image_id, source.photographs / name) for image_id, name in names)
    write_photographs(photographs, len(images["id"]), out, settings)
    maps = {}
    for folder in sorted(path.parent for path in source.explain.glob("*/maps.npy")):
        found = read_maps(folder, images["id"], images["classes"])
        write_script(out / "maps" / f"{folder.name}.js", f"maps/{folder.name}", found)
        maps[folder.name] = {"classes": found["classes"], "method": found["method"]}
    about = {"profile": source.profile, "generated": source.generated, "maps": maps}
    write_script(out / "data/images.js", "images", about | images)
    tallies = gallery.tallies(answers, list(source.tasks), len(images["id"]))
    write_script(out / "data/models.js", "models", {"models": [one.about() for one in answers], "tallies": tallies})
    for one in answers:
        write_script(out / f"data/models/{one.key}.js", f"models/{one.key}", one.summary())
    shown = dict.fromkeys(_shown(images), "")  # with its first caption
    parts = gallery.parts(source.manifest, source.evidence, images["classes"], source.traits)
    for number, part in enumerate(parts):
        write_script(out / f"data/images/{number}.js", f"images/{number}", part)
        runs = {one.key: one.part(number * gallery.PART) for one in answers}
        write_script(out / f"data/answers/{number}.js", f"answers/{number}", runs)
        for image in shown:
            if image // gallery.PART == number:
                shown[image] = next(iter(part["captions"][image % gallery.PART]), "")
    static = resources.files("har.reporting.page") / "static"
    for name in STATIC:
        write_bytes(out / name, (static / name).read_bytes())
    index = reports / "index.html"
    template = Template((static / "index.html").read_text(encoding="utf-8"))
    write_text(
        index, template.substitute(document(source, images, shown, sections_in(reports, source.papers), reports))
    )
    return index


def deviations() -> str:
    """Where the project leaves the paper and why, in Markdown; the README shows the same."""
    return (resources.files("har.reporting.page") / "deviations.md").read_text(encoding="utf-8")


def document(
    source: Source, images: Mapping, shown: Mapping[int, str], sections: Sequence[Section], reports: Path
) -> dict[str, str]:
    """The values of the template's names. shown: places of the images at the top, each with its caption."""
    entries, body = [], []
    for section in sections:
        entries.append((section.anchor, section.title))
        parts = [_part(part, section, source, images, reports) for part in section.parts]
        body.append(_section(section.anchor, section.title, section.intro, parts))
        if source.papers and section.title == DEVIATIONS_AFTER:
            entries.append((anchor(DEVIATIONS), DEVIATIONS))
            body.append(_section(anchor(DEVIATIONS), DEVIATIONS, "", [markdown.tables(deviations(), SIDE_BY_SIDE)]))
    parts = pd.Series(images["split"]).map(dict(enumerate(images["splits"]))).value_counts()
    counts = [f"{parts[name]:,} {name}" for name in images["splits"] if name in parts]
    models = len(source.predictions)
    facts = [f"{len(images['id']):,} images", *counts, f"{models} sets of predictions"]
    return {
        "profile": html.escape(source.profile),
        "header": html.escape(source.header[0].upper() + source.header[1:] + "."),
        "facts": "".join(f"<li>{html.escape(fact)}</li>" for fact in facts),
        "strip": _strip(images, shown),
        "contents": "\n".join(f'<li><a href="#{key}">{html.escape(title)}</a></li>' for key, title in entries),
        "sections": "\n".join(body),
        "count": f"{len(images['id']):,}",
        "rights": _rights(source.generated, source.owned),
    }


def _section(key: str, title: str, intro: str, parts: Sequence[str]) -> str:
    said = markdown.prose(intro) if intro else ""
    return f'<section id="{key}">\n<h2>{html.escape(title)}</h2>\n{said}{chr(10).join(parts)}\n</section>'


def _part(part: str | Figure, section: Section, source: Source, images: Mapping, reports: Path) -> str:
    if isinstance(part, str):
        told = markdown.tables((reports / part).read_text(encoding="utf-8"), section.title)
        if part == "funnel.md" and (reports / "funnel.csv").exists():
            names = dict(zip(images["classes"], images["classNames"], strict=True))
            folded = f'<details class="more-of"><summary>The same as a table</summary>\n{told}\n</details>'
            return f"{charts.funnel(reports / 'funnel.csv', names)}\n{folded}"
        return told
    if part.path in CHARTS:
        task, table = CHARTS[part.path]
        if task in source.tasks and (reports / table).exists():
            return charts.accuracy(reports / table, task, len(source.tasks[task]), part.caption)
    caption, alt, path = html.escape(part.caption), html.escape(part.alt), html.escape(part.path)
    return (
        f'<figure class="plate"><a href="{path}"><img src="{path}" alt="{alt}" loading="lazy"></a>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _shown(images: Mapping) -> list[int]:
    """Places of the first images of each class that no model was trained on, class by class in turn."""
    told = [i for i, part in enumerate(images["split"]) if images["splits"][part] != "train"]
    first = min((classes for classes in images["tasks"].values()), key=lambda c: -len(c), default=[])
    columns = [[i for i in told if images["label"][i] == number][:STRIP] for number in first]
    return [column[k] for k in range(STRIP) for column in columns if k < len(column)]


def _strip(images: Mapping, shown: Mapping[int, str]) -> str:
    cells = []
    for i, caption in shown.items():
        alt = html.escape(caption)
        name = html.escape(images["classNames"][images["label"][i]])
        image_id = images["id"][i]
        cells.append(
            f'<li><a href="#images?image={image_id}"><img src="page/thumbnails/{image_id}.jpg" alt="{alt}" '
            f'width="160" height="120"><span>{name}</span></a></li>'
        )
    return "\n".join(cells)


def _rights(generated: bool, owned: bool) -> str:
    if owned:
        return "The images are your own, copied to this folder for reading results; they are not part of the project."
    if generated:
        return (
            "The images are drawn by the project and under its licence; nobody is depicted. Their licence ids are "
            "drawn at random, so that code which handles them is exercised."
        )
    return (
        "Captions and boxes: COCO Consortium, CC BY 4.0. The photographs belong to their authors on Flickr, each under "
        "the licence shown with it; people are recognisable in them. They are copied to this folder for reading "
        "results, and are not part of the project: ask the authors before passing them on."
    )
