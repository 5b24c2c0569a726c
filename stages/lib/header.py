"""The line that says what made a table."""

from har.reporting.tables.paper_tables import profile_header
from stages.lib.context import Context


def header(context: Context) -> str:
    return profile_header(context.params.profile, context.sources)
