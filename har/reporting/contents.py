"""What the results of a profile consist of, in reading order: its README and its page are both made from this list."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from har.reporting import glossary
from har.reporting.answers import answers
from har.reporting.names import model_name, split_name

PAPERS = "The paper's experiments"
# Section: what it answers, and its parts in reports/<profile>/. A part is a Markdown file of tables, or a figure with
# its caption and, where the caption does not say it, what a reader who can't see it should know. Absent ones are left
# out.
SECTIONS = {
    "Results": (
        "",
        [
            (
                "figures/accuracy_activity.svg",
                "Balanced accuracy, all classes",
                "A row for each model, best first: a filled dot for its balanced accuracy on the held-out images, a"
                " hollow square on the test images, each on the line of its interval; higher is better. In numbers:"
                " Table 7.",
            ),
            "tables/summary.md",
            "significance/claims.md",
        ],
    ),
    PAPERS: (
        "",
        [
            "tables/table7.md",
            "eda/table1.md",
            *(f"tables/table{i}.md" for i in range(2, 7)),
            (
                "figures/augmentation.svg",
                "Augmentation of CNN_base",
                "A row for each augmentation policy, best first: a dot for its validation accuracy on the line of "
                "its interval, beside a dashed line for no augmentation; higher is better. In numbers: Table 3.",
            ),
            (
                "figures/accuracy_posture.svg",
                "Balanced accuracy, sitting or standing",
                "As the chart of all classes, for models that tell sitting from standing. In numbers: Table 5.",
            ),
            (
                "figures/figure3_vit_posture.svg",
                "Figure 3. Confusion of the binary ViT",
                "Two by two cells, true class down and predicted class across: images and their share, green where "
                "right, red where wrong.",
            ),
        ],
    ),
    "How sure are these numbers?": (
        "A small test set decides little; these are the intervals, the tests and what they can't say.",
        [
            "significance/pairs.md",
            "significance/scores.md",
            "significance/small_test.md",
            "significance/tests.md",
            "significance/per_class.md",
            "significance/calibration.md",
            (
                "significance/reliability.svg",
                "Reliability",
                "A panel for each of the best models, eight at most: dots of accuracy against confidence with "
                "intervals, and a dotted diagonal on which a model is as right as it is sure. In numbers: the "
                "calibration table.",
            ),
        ],
    ),
    "What are several frames worth?": (
        "An image here is a clip: what a model says of it is the mean of what it says of its frames.",
        [
            "significance/frames.md",
            (
                "significance/frames.svg",
                "Accuracy against frames of a clip",
                "A line for each model: accuracy, with intervals, against the number of frames of a clip; higher is"
                " better. In numbers: the table beside it.",
            ),
            "significance/disagreement.md",
        ],
    ),
    "Other splits, fewer images": (
        "The same images split again and again, and the same models with less to learn from.",
        [
            "cross_validation/cross_validation.md",
            "cross_validation/pairs.md",
            "significance/learning_curve.md",
            (
                "significance/learning_curve.svg",
                "Balanced accuracy against training images",
                "A line for each model: balanced accuracy, with intervals, against the number of training images on a "
                "logarithmic axis; higher is better. In numbers: the table beside it.",
            ),
        ],
    ),
    "What did pre-training teach?": (
        "Miniatures that were shown one thing more or less, and how much zero-shot hangs on its prompts.",
        ["controls/controls.md", "controls/prompts.md"],
    ),
    "What is each setting worth?": (
        "Fine-tuned CLIP with one setting replaced at a time.",
        [
            "ablation/ablation.md",
            (
                "ablation/forest.svg",
                "Difference from the reference",
                "A row for each variant: its balanced accuracy minus the reference's with an interval, left of a "
                "dashed line at 0 where it is worse. In numbers: the table beside it.",
            ),
        ],
    ),
    "Where do they fail?": (
        "Test and extended images together. More bins: [image size](errors/by_pixels.md), "
        "[number of people](errors/by_persons.md), [joints labelled](errors/by_labelled_joints.md).",
        [
            (
                "errors/figure5_activity.svg",
                "Figure 5. Failures, all classes",
                "A row of pictures for each trained model: images that it gets wrong, the most confident first, "
                "each with its true class and, in red, the predicted one. The gallery shows each of them.",
            ),
            (
                "errors/factors_activity.svg",
                "Errors and what an image is like, all classes",
                "A row for each model, a column for each trait such as person size: the correlation with errors, "
                "red where larger means more errors, green where fewer, framed where significant. In numbers: the "
                "table of correlations.",
            ),
            *(f"errors/{name}.md" for name in ("factors", "by_person_size", "by_hidden_joints", "by_overlap")),
            *(f"errors/{name}.md" for name in ("by_caption_agreement", "miss_counts", "missed_by_all")),
            (
                "errors/overlap_activity.svg",
                "Do models miss the same images? All classes",
                "A triangle of cells, one for each pair of models, the stronger in colour the more they miss the "
                "same images. In numbers: the table of pairs.",
            ),
            "errors/error_overlap.md",
            (
                "errors/figure5_posture.svg",
                "Failures, sitting or standing",
                "As Figure 5, for the models that tell sitting from standing.",
            ),
        ],
    ),
    "What do the models look at?": (
        "Relevance maps of the fine-tuned models, scored by person boxes beside simpler maps (rollout, noise, centre).",
        [
            "explain/differences.md",
            "explain/scores.md",
            "explain/candidates.md",
            (
                "explain/curves.svg",
                "Deletion and insertion of patches",
                "A row for each model: the probability of its predicted class falls as the most relevant patches "
                "are removed, at the left, and rises as they are shown first, at the right; a line for each kind of"
                " map, with its interval over images.",
            ),
            (
                "explain/figure4.svg",
                "Figure 4. What speaks for each class, test images drawn at random. The brighter, the more relevant; "
                "beside each class its probability, framed the predicted one",
                "Test images, each beside a grid of heat maps over it, models down and classes across. The gallery "
                "draws them for every image that has maps.",
            ),
        ],
    ),
    "When the cues are hidden": (
        "Black masks on the network's own input: which cues carry each model, and can learnt noise make up for them?",
        [
            "masking/masking.md",
            (
                "masking/curves.svg",
                "Accuracy against the share that is black",
                "A panel for each model: accuracy against the share of the image that is black, a line for each "
                "shape of mask, a thick one for their mean. Areas under them: the table beside it.",
            ),
            "masking/kinds.md",
            "masking/context.md",
            "masking/elsewhere.md",
            (
                "masking/context.svg",
                "The person alone, the context alone",
                "A row for each model: its accuracy with an interval on the whole image, on the person alone and on"
                " the context alone, the person filled in several ways. In numbers: the table beside it.",
            ),
            "masking/cues.md",
            "masking/classes.md",
            "noise/noise.md",
            (
                "noise/noise.svg",
                "Class-specific noise and what it is compared with",
                "At the left a line of accuracy against the black share for each way to learn the noise, at the "
                "right the learnt pattern of each class in grey and faint colours. In numbers: the tables.",
            ),
            "noise/effects.md",
            "noise/validation.md",
            "noise/labels.md",
        ],
    ),
    "Are the data what they claim?": (
        "",
        [
            "funnel.md",
            "audit/leakage.md",
            "audit/pairs.md",
            "audit/labels.md",
            "audit/label_confusion.md",
            "audit/visible.md",
            "eda/size_tests.md",
            (
                "eda/figure1_examples.svg",
                "Figure 1. Examples, drawn at random",
                "A row of images for each class, drawn at random from training, validation and test.",
            ),
            (
                "eda/figure2_sizes.svg",
                "Figure 2. Image sizes",
                "Four panels by class: width against height as dots, a histogram of aspect ratios, box plots of "
                "width and of height. Means: Table 1.",
            ),
        ],
    ),
    "Are the numbers consistent?": ("", ["consistency/paper_consistency.md", "consistency/rows.md"]),
}


OTHER_IMAGES = "The paper's experiments on other images than its own: none of its figures stands beside these."


class Part(NamedTuple):
    """A file of tables in Markdown, or a figure with its caption; `path` relative to the report's folder."""

    path: str
    caption: str = ""
    described: str = ""

    @property
    def alt(self) -> str:
        return self.described or self.caption


class Section(NamedTuple):
    """`answers`: what it has found, in sentences; figures come before tables, the first of which stands open."""

    title: str
    intro: str
    answers: list[str]
    figures: list[Part]
    tables: list[Part]

    @property
    def anchor(self) -> str:
        return anchor(self.title)


def sections_in(root: Path, papers: bool = True, unit: str = "images") -> list[Section]:
    """SECTIONS as far as the report's folder `root` holds them, then the figures that none of them names. A section
    without any part is left out. papers: whether the images are the paper's; unit: what predictions are of
    (har.config.data.Data.unit)."""
    found = []
    for title, (intro, listed) in SECTIONS.items():
        parts = [part for entry in listed for part in _present(root, entry)]
        figures, tables = [part for part in parts if part.caption], [part for part in parts if not part.caption]
        intro = OTHER_IMAGES if title == PAPERS and not papers else intro
        found.append(Section(title, intro, answers(title, root, unit), figures, tables))
    named = {part.path for section in found for part in section.figures}
    others = [f"figures/{path.name}" for path in sorted((root / "figures").glob("*.svg"))]
    rest = [Part(path, caption(path, unit)) for path in others if path not in named]
    return [one for one in (*found, Section("More figures", "", [], rest, [])) if one.figures or one.tables]


def _present(root: Path, entry: str | tuple[str, str, str]) -> Iterator[Part]:
    """The parts below `root` that an entry of SECTIONS names."""
    path, *told = (entry,) if isinstance(entry, str) else entry
    if (root / path).exists():
        yield Part(path, *told)


def markdown(root: Path, profile: str, papers: bool = True, unit: str = "images") -> str:
    """All of them below one another, figures as links."""
    sections = sections_in(root, papers, unit)
    parts = [f"# Results, profile `{profile}`", " · ".join(f"[{one.title}](#{one.anchor})" for one in sections)]
    for section in sections:
        parts += [f"## {section.title}", section.intro, "\n".join(f"- **{answer}**" for answer in section.answers)]
        parts += [f"**{figure.caption}**\n\n![{figure.alt}]({figure.path})" for figure in section.figures]
        for place, table in enumerate(section.tables):
            text = (root / table.path).read_text(encoding="utf-8")
            folded = f"<details><summary>{title_of(root / table.path)}</summary>\n\n{text}\n</details>"
            parts.append(folded if place else text)
    parts += ["## Glossary", glossary.markdown()]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def title_of(table: Path) -> str:
    """The heading of a table's Markdown file."""
    with table.open(encoding="utf-8") as file:
        return file.readline().strip("# \n")


def caption(path: str, unit: str) -> str:
    """What a figure without an entry shows, told from its file name."""
    kind, _, rest = Path(path).stem.partition("_")
    if kind == "confusion":
        task, _, split = rest.partition("_")
        return f"Confusion matrices, {task}, {split_name(split)} {unit}"
    if kind == "curves":
        task, _, model = rest.partition("-")
        return f"Losses and validation accuracy of each epoch, {task}, {model_name(model)}"
    return Path(path).stem.replace("_", " ").capitalize()


def anchor(title: str) -> str:
    """As GitHub makes it from a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
