"""Known vulnerabilities of the pinned packages, as pip-audit's JSON on standard input tells them (`make audit`).

Exit code 0: every package was asked for and none has any; 1: some have; 2: some could not be asked for, as where pip's
index is a mirror without advisories, which pip-audit itself passes over.
"""

import json
import sys


def told(report: dict) -> tuple[int, list[str]]:
    """Exit code and lines of pip-audit's report."""
    packages = report["dependencies"]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    lines = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for one in packages
        for flaw in one.get("vulns", ())
    ]
    code = 1 if lines else 2 if skipped or not packages else 0
    if skipped:
        some = f"{len(skipped)} of {len(packages)} packages ({', '.join(skipped[:3] + ['...'] * (len(skipped) > 3))})"
        lines.append(f"audit: not done for {some}: no advisories to be had")
    if code == 0:
        lines.append(f"audit: none of {len(packages)} packages has a known vulnerability")
    return code, lines


if __name__ == "__main__":
    code, lines = told(json.load(sys.stdin))
    print("\n".join(lines), file=sys.stderr if code else sys.stdout)
    sys.exit(code)
