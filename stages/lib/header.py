"""The title of a figure, which travels without the page: what was used stands below it."""

from stages.lib.context import Context


def titled(context: Context, title: str) -> str:
    return f"{title}\n{context.header}"
