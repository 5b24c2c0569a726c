"""One page of all tables and figures, to be read where Markdown is shown."""

from har.comparison import is_the_papers
from har.files import write_text
from har.sections import sections_in
from stages.context import Context, stage


def report(context: Context) -> None:
    root = context.reports
    sections = sections_in(root, is_the_papers(context.profile.tasks["activity"]))
    links = " · ".join(f"[{section.title}](#{section.anchor})" for section in sections)
    page = [f"# Results, profile `{context.params.profile}`", links]
    for section in sections:
        page += [f"## {section.title}", *([section.intro] if section.intro else [])]
        for part in section.parts:
            if isinstance(part, str):
                page.append((root / part).read_text(encoding="utf-8"))
            else:
                page.append(f"**{part.caption}**\n\n![{part.alt}]({part.path})")
    write_text(root / "README.md", "\n\n".join(part.strip() for part in page) + "\n")


if __name__ == "__main__":
    stage(report)
