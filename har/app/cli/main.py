"""`har VERB ...`. Nothing heavy is imported before the verb is known."""

import argparse
import os
import sys
from collections.abc import Sequence

from har.app.cli import predict, verbs
from har.core.errors import HarError, machine_fault


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="har",
        description="Do people in a photograph walk or run, sit or stand? Predict with the trained models of a "
        "project, list them, take them along, or train on your own images. Run it in the project's folder, or name that"
        " with --project.",
    )
    top.add_argument("--project", default=".", metavar="FOLDER", help="the folder of params.yaml, data and reports")
    group = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    predict.add(group)
    verbs.add(group)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 fine, 1 a part failed, 2 nothing could be done (bad usage, no such model)."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except HarError as error:
        print(f"har {options.verb}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `har predict ... | head`: the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except (OSError, RuntimeError, MemoryError) as error:
        line = machine_fault(error, "end other programs, or take --device cpu")
        if line is None and getattr(error, "filename", None):
            line = f"{error.filename}: {error.strerror}"
        if line is None:
            raise
        print(f"har {options.verb}: {line}", file=sys.stderr)
        return 2
