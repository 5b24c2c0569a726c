"""One page of all tables and figures, to be read where Markdown is shown."""

from har.files import write_text
from stages.context import Context, stage

FIGURES = {
    "eda/figure1_examples.png": "Figure 1. Examples, drawn at random",
    "eda/figure2_sizes.png": "Figure 2. Image sizes",
    "figures/accuracy_activity.png": "Accuracy, three activities",
    "figures/accuracy_posture.png": "Accuracy, sitting or standing",
    "figures/augmentation.png": "Augmentation of CNN_base",
    "figures/figure3_vit_posture.png": "Figure 3. Confusion of the binary ViT",
}
TABLES = ("summary", "differences", *(f"table{i}" for i in range(1, 8)), "size_tests", "statistics")


def report(context: Context) -> None:
    root, name = context.reports, context.params.profile
    parts = [f"# Results, profile `{name}`", (root / "tables/summary.md").read_text()]
    for table in TABLES[1:]:
        path = root / "tables" / f"{table}.md"
        if path.exists():
            parts.append(path.read_text())
    parts += ["## From captions to images", (root / "funnel.md").read_text()]
    known = [(path, title) for path, title in FIGURES.items() if (root / path).exists()]
    others = sorted(p for p in (root / "figures").glob("*.png") if f"figures/{p.name}" not in FIGURES)
    known += [(f"figures/{p.name}", p.stem.replace("_", " ", 1)) for p in others]
    parts.append("## Figures")
    parts += [f"**{title}**\n\n![{title}]({path})" for path, title in known]
    write_text(root / "README.md", "\n\n".join(part.strip() for part in parts) + "\n")


if __name__ == "__main__":
    stage(report)
