"""The stage that `python -m stages` was asked for: the function of its file's name, with its context."""

import sys
from importlib import import_module

from har.core import warm
from har.core.errors import exit_with_message
from stages.lib.context import read_context
from stages.lib.guard import guard


def main() -> None:
    name, *arguments = sys.argv[1:]
    if warm.forked:  # what set our guard up is not here
        guard()
    run = getattr(import_module(f"stages.{name}"), name)
    with exit_with_message(name):  # a user's mistake ends the stage with one line, not a traceback
        if name == "check":  # writes what the context of the others is read from
            run()
        else:
            run(read_context(name, arguments), *arguments)


if __name__ == "__main__":
    main()
