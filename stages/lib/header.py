"""The lines that say what made a table or a figure."""

from har.reporting.tables.paper_tables import profile_header
from stages.lib.context import Context


def header(context: Context) -> str:
    return profile_header(context.params.profile, context.sources)


def titled(context: Context, title: str) -> str:
    """The title of a figure, which travels without the page: its profile, and that scenes are drawn, if they are."""
    drawn = ": drawn scenes, miniature models, not COCO" if context.profile.data.source == "world" else ""
    return f"{title}\nprofile {context.params.profile}{drawn}"
