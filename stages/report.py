"""One page of all tables and figures, to be read where Markdown is shown."""

from har.comparison import is_the_papers
from har.files import write_text
from stages.context import Context, stage

# Section: what it answers, and its parts in reports/<profile>/ (a figure with its caption); absent ones are left out.
SECTIONS = {
    "Results": (
        "",
        ["tables/summary.md", ("figures/accuracy_activity.png", "Accuracy, three activities"), "tables/differences.md"],
    ),
    "The paper's tables": (
        "",
        [
            *(f"tables/table{i}.md" for i in range(1, 8)),
            ("figures/augmentation.png", "Augmentation of CNN_base"),
            ("figures/accuracy_posture.png", "Accuracy, sitting or standing"),
            ("figures/figure3_vit_posture.png", "Figure 3. Confusion of the binary ViT"),
        ],
    ),
    "How sure are these numbers?": (
        "29 test images decide little; these are the intervals, the tests and what they can't say.",
        [
            "statistics/scores.md",
            "statistics/small_test.md",
            "statistics/tests.md",
            "statistics/pairs.md",
            "statistics/per_class.md",
            "statistics/calibration.md",
            ("statistics/reliability.png", "Reliability"),
        ],
    ),
    "Other splits, fewer images": (
        "The same images split again and again, and the same models with less to learn from.",
        [
            "resampling/resampling.md",
            "resampling/resampling_pairs.md",
            "statistics/learning_curve.md",
            ("statistics/learning_curve.png", "Accuracy against training images"),
        ],
    ),
    "Are the data what they claim?": (
        "",
        [
            "funnel.md",
            "audit/leakage.md",
            "audit/labels.md",
            "audit/label_confusion.md",
            "tables/size_tests.md",
            ("eda/figure1_examples.png", "Figure 1. Examples, drawn at random"),
            ("eda/figure2_sizes.png", "Figure 2. Image sizes"),
        ],
    ),
    "Do the numbers belong together?": ("", ["consistency/paper_consistency.md", "consistency/rows.md"]),
}


# Where the task is not the paper's.
OWN_TITLES = {"The paper's tables": "Tables"}
LEFT_OUT = (
    "These are classes of your own: the paper's figures are left out, and so is the comparison of labels with a second "
    "source, since there is none. Without annotated persons the metadata model sees image sizes alone."
)


def report(context: Context) -> None:
    root, papers = context.reports, is_the_papers(context.profile.tasks["activity"])
    shown = {part[0] for _, parts in SECTIONS.values() for part in parts if isinstance(part, tuple)}
    others = sorted(f"figures/{p.name}" for p in (root / "figures").glob("*.png") if f"figures/{p.name}" not in shown)
    figures = [(path, path.split("/")[1].removesuffix(".png").replace("_", " ", 1)) for path in others]
    sections = SECTIONS | {"More figures": ("", figures)}
    if not papers:
        sections = {OWN_TITLES.get(title, title): rest for title, rest in sections.items()}
    links = " · ".join(f"[{title}](#{anchor(title)})" for title in sections)
    page = [f"# Results, profile `{context.params.profile}`", links, *([] if papers else [LEFT_OUT])]
    for title, (intro, parts) in sections.items():
        page += [f"## {title}", *([intro] if intro and papers else [])]
        for part in parts:
            path, caption = (part, "") if isinstance(part, str) else part
            if (root / path).exists():
                caption = caption if papers else caption.replace("three activities", "all classes")
                page.append(f"**{caption}**\n\n![{caption}]({path})" if caption else (root / path).read_text())
    write_text(root / "README.md", "\n\n".join(part.strip() for part in page) + "\n")


def anchor(title: str) -> str:
    """As GitHub makes it from a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


if __name__ == "__main__":
    stage(report)
