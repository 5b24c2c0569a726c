"""What the results of a profile consist of, in reading order: its README and its page are both made from this list."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

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
                "Balanced accuracy with its interval for each model on the held-out and the test images; the figures "
                "are in Table 7.",
            ),
            "tables/summary.md",
            "significance/claims.md",
            "tables/differences.md",
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
                "Validation accuracy of each augmentation policy; the figures are in Table 3.",
            ),
            (
                "figures/accuracy_posture.svg",
                "Balanced accuracy, sitting or standing",
                "Balanced accuracy with its interval for each model, sitting against standing; the figures are "
                "in Table 5.",
            ),
            (
                "figures/figure3_vit_posture.svg",
                "Figure 3. Confusion of the binary ViT",
                "Confusion matrix of ViT on the test images, sitting against standing.",
            ),
        ],
    ),
    "How sure are these numbers?": (
        "29 test images decide little; these are the intervals, the tests and what they can't say.",
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
                "Accuracy against confidence for each model; the calibration table has the errors as figures.",
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
                "A line for each model with its interval; the figures are in the table above.",
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
                "Accuracy against training images",
                "A line for each model with its interval; the figures are in the table below.",
            ),
        ],
    ),
    "What did pre-training teach?": (
        "Miniatures that were shown one thing more or less, and how much zero-shot hangs on its prompts.",
        ["controls/controls.md", "controls/prompts.md"],
    ),
    "What is each setting worth?": (
        "Fine-tuned CLIP with one setting replaced at a time; then what models' settings were chosen from.",
        [
            "ablation/ablation.md",
            (
                "ablation/forest.svg",
                "Difference from the reference",
                "Accuracy of each variant minus the reference's, with intervals; the figures are in the table below.",
            ),
            "tune/*.md",
        ],
    ),
    "Where do they fail?": (
        "Test and extended images together. More bins: [image size](errors/by_pixels.md), "
        "[number of people](errors/by_persons.md), [joints labelled](errors/by_labelled_joints.md).",
        [
            (
                "errors/figure5_activity.svg",
                "Figure 5. Failures, all classes",
                "For each trained model the images that it gets wrong, the most confident first, with the true and the "
                "predicted class; the gallery shows each of them.",
            ),
            (
                "errors/factors_activity.svg",
                "Errors and what an image is like, all classes",
                "Share of errors of each model by person size, occlusion, overlap and agreement of captions; the "
                "figures are in the tables below.",
            ),
            *(f"errors/{name}.md" for name in ("factors", "by_person_size", "by_hidden_joints", "by_overlap")),
            *(f"errors/{name}.md" for name in ("by_caption_agreement", "miss_counts", "missed_by_all")),
            (
                "errors/overlap_activity.svg",
                "Do models miss the same images? All classes",
                "Agreement of errors for each pair of models as a heat map; the figures are in the table below.",
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
            (
                "explain/curves.svg",
                "Deletion and insertion of patches",
                "Probability of the predicted class while the most relevant patches are removed or shown first; the "
                "areas under the curves are in the tables below.",
            ),
            (
                "explain/figure4.svg",
                "Figure 4. What speaks for each class, test images drawn at random. The brighter, the more relevant; "
                "beside each class its probability, framed the predicted one",
                "Test images, each beside its relevance maps for the three classes; the gallery draws them for every "
                "image that has maps.",
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
                "A curve for each model and kind of mask; the areas under them are in the table below.",
            ),
            "masking/kinds.md",
            "masking/context.md",
            "masking/elsewhere.md",
            (
                "masking/context.svg",
                "The person alone, the context alone",
                "Accuracy of each model on the whole image, on the person alone and on the context alone; the figures "
                "are in the table below.",
            ),
            "masking/cues.md",
            "masking/classes.md",
            "noise/noise.md",
            (
                "noise/noise.svg",
                "Class-specific noise and what it is compared with",
                "Accuracy with and without masks for each way to learn the noise; the figures are in the tables.",
            ),
            "noise/effects.md",
            "noise/validation.md",
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
                "A row of photographs for each class, drawn at random from the training, validation and test images.",
            ),
            (
                "eda/figure2_sizes.svg",
                "Figure 2. Image sizes",
                "Width against height, box plots of both and the histogram of aspect ratios, by class; the means are "
                "in Table 1.",
            ),
        ],
    ),
    "Are the numbers consistent?": ("", ["consistency/paper_consistency.md", "consistency/rows.md"]),
}


OTHER_IMAGES = "The paper's experiments on other images than its own: none of its figures stands beside these."


class Figure(NamedTuple):
    path: str
    caption: str
    alt: str


class Section(NamedTuple):
    """`answers`: what it has found, in sentences; `parts`: Figures, then paths of Markdown files, the first of which
    stands open; relative to the report's folder."""

    title: str
    intro: str
    answers: list[str]
    parts: list[str | Figure]

    @property
    def anchor(self) -> str:
        return anchor(self.title)

    def open(self, table: str) -> bool:
        return table == next(part for part in self.parts if isinstance(part, str))


def sections_in(root: Path, papers: bool = True) -> list[Section]:
    """SECTIONS as far as the report's folder `root` holds them, then the figures that none of them names. A section
    without any part is left out. papers: whether the images are the paper's."""
    found = []
    for title, (intro, parts) in SECTIONS.items():
        if title == PAPERS and not papers:
            intro = OTHER_IMAGES
        figures = [part if isinstance(part, str) else figure(*part) for part in _listed(root, parts)]
        there = [part for part in figures if (root / path_of(part)).exists()]
        found.append(Section(title, intro, answers(title, root), sorted(there, key=lambda part: isinstance(part, str))))
    named = {path_of(part) for section in found for part in section.parts}
    others = sorted(f"figures/{path.name}" for path in (root / "figures").glob("*.svg"))
    rest = [figure(path, caption(path)) for path in others if path not in named]
    found.append(Section("More figures", "", [], rest))
    return [section for section in found if section.parts]


def _listed(root: Path, parts: Iterable) -> Iterator:
    """`parts`, a pattern replaced by the files that it matches below `root`."""
    for part in parts:
        if isinstance(part, str) and "*" in part:
            yield from sorted(path.relative_to(root).as_posix() for path in root.glob(part))
        else:
            yield part


def markdown(root: Path, profile: str, papers: bool = True) -> str:
    """All of them below one another, figures as links."""
    sections = sections_in(root, papers)
    parts = [f"# Results, profile `{profile}`", " · ".join(f"[{one.title}](#{one.anchor})" for one in sections)]
    for section in sections:
        parts += [f"## {section.title}", *([section.intro] if section.intro else [])]
        parts += ["\n".join(f"- **{answer}**" for answer in section.answers)]
        for part in section.parts:
            if not isinstance(part, str):
                parts.append(f"**{part.caption}**\n\n![{part.alt}]({part.path})")
            elif section.open(part):
                parts.append((root / part).read_text(encoding="utf-8"))
            else:
                table = (root / part).read_text(encoding="utf-8")
                parts.append(f"<details><summary>{title_of(root / part)}</summary>\n\n{table}\n</details>")
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def figure(path: str, caption: str, alt: str = "") -> Figure:
    return Figure(path, caption, alt or caption)


def title_of(table: Path) -> str:
    """The heading of a table's Markdown file."""
    with table.open(encoding="utf-8") as file:
        return file.readline().strip("# \n")


def path_of(part: str | Figure) -> str:
    return part if isinstance(part, str) else part.path


def caption(path: str) -> str:
    """What a figure without an entry shows, told from its file name."""
    kind, _, rest = Path(path).stem.partition("_")
    if kind == "confusion":
        task, _, split = rest.partition("_")
        return f"Confusion matrices, {task}, {split_name(split)} images"
    if kind == "curves":
        task, _, model = rest.partition("-")
        return f"Losses and validation accuracy of each epoch, {task}, {model_name(model)}"
    return Path(path).stem.replace("_", " ").capitalize()


def anchor(title: str) -> str:
    """As GitHub makes it from a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
