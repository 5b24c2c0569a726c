"""What made the page, where its parts lie, and how to cite it, in Markdown."""

import platform
from importlib.metadata import version
from pathlib import Path

from ruamel.yaml import YAML

from har.core.machine import processor

PACKAGES = ("torch", "transformers", "scikit-learn", "numpy")
TYPES = {"software": "software", "article": "article", "conference-paper": "inproceedings"}


def about(settings: str, citation: Path, cards: list[Path]) -> str:
    """The section "This run, and how to cite it".

    Args:
        settings: the hash of the run's settings.
        citation: CITATION.cff.
        cards: the models' cards, Markdown files in `cards/` beside the page.
    """
    made = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)])
    links = ["[Repository](../../README.md)", *(f"[{card.stem}](cards/{card.name})" for card in sorted(cards))]
    cite = YAML(typ="safe").load(citation.read_text(encoding="utf-8"))
    return (
        f"Settings {settings} (hash of data/params.json without what the machine decides), {made}, "
        f"on {processor()}.\n\n"
        f"{links[0]}; cards of the models: {', '.join(links[1:])}.\n\n"
        "```bibtex\n" + "\n".join(map(bibtex, [cite, *cite.get("references", [])])) + "\n```\n"
    )


def bibtex(work: dict) -> str:
    """An entry of CITATION.cff as one of BibTeX."""
    people = [(one.get("family-names"), one.get("given-names"), one.get("name")) for one in work["authors"]]
    authors = [f"{{{name}}}" if name else f"{family}, {given}" for family, given, name in people]
    key = (people[0][0] or "har-still").lower() + str(work.get("year", ""))
    fields = {"title": f"{{{work['title']}}}", "author": " and ".join(authors)}
    fields |= {name: work[name] for name in ("year", "url") if name in work}
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items()]
    return f"@{TYPES[work['type']]}{{{key},\n" + ",\n".join(lines) + "\n}"
