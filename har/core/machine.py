"""The machine and the commit that a run is on, in words."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path


def processor() -> str:
    """The processor's model, "AMD EPYC 7B13 64-Core"."""
    name = platform.processor() or platform.machine()
    if sys.platform == "darwin":
        name = subprocess.check_output(["sysctl", "-n", "machdep.cpu.brand_string"], text=True)
    elif os.path.exists("/proc/cpuinfo"):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        name = found[1] if found else name
    return without_marks(name)


def without_marks(name: str) -> str:
    """A processor's name without trade marks and clock."""
    name = re.sub(r"\((R|TM|C)\)|\bCPU\b|\bProcessor\b|@.*", " ", name, flags=re.IGNORECASE)
    return " ".join(name.split())


def commit(root: Path) -> str:
    """The commit that the project at `root` is on, and whether files differ from it; empty without git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    head = git("rev-parse", "HEAD")
    if not head:
        return ""
    return f"`{head}`" + (", with changes that are not committed" if git("status", "--porcelain") else "")
