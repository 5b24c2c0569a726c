"""Check params.yaml before any work; every other stage waits for this one."""

from pathlib import Path

from stages.context import Context, stage


def check(context: Context) -> None:
    # The content never changes, so that a changed parameter reruns only the stages that use it.
    Path("data").mkdir(exist_ok=True)
    Path("data/params.ok").write_text("params.yaml is understood\n")


if __name__ == "__main__":
    stage(check)
