"""The page that a run ends in, tables, charts and every photograph with what each model says of it; and one without
photographs, to be read where Markdown is shown."""

from har.comparison import is_the_papers
from har.files import write_text
from har.page.build import Source, build
from har.page.gallery import read_traits
from har.sections import markdown
from har.splits import read_split
from har.tables import profile_header
from stages.context import Context, stage
from stages.results import trained


def page(context: Context) -> None:
    profile, data = context.profile, context.data
    sources = {name: profile.backbones[name].source for name in context.params.run.encoders}
    source = Source(
        profile=context.params.profile,
        header=profile_header(context.params.profile, sources),
        generated=profile.data.source == "world",
        manifest=data / "manifest.csv",
        split=read_split(data / "split.csv"),
        evidence=data / "evidence.csv",
        tasks={task: profile.tasks[task] for task in context.params.run.tasks},
        predictions=trained(context),
        photographs=data / "images",
        explain=data / "explain",
        traits=read_traits(data / "errors.csv"),
        papers=is_the_papers(profile.tasks["activity"]),
        owned=profile.data.own,
    )
    write_text(context.reports / "README.md", markdown(context.reports, context.params.profile, source.papers))
    print(f"{build(source, context.reports, profile.page)} is written: open it in a browser")


if __name__ == "__main__":
    stage(page)
