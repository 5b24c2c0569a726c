"""`har doctor`: can this machine run the active profile, and what will it cost?"""

import json


def add(verbs):
    verb = verbs.add_parser(
        "doctor",
        help="what this machine has, and what a run will cost",
        description="Look at this machine, the parameters, the servers of the active profile, and what its run will "
        "cost. Exit code 1 where something blocks a run.",
    )
    verb.add_argument("--json", action="store_true", help="a JSON object")
    verb.add_argument("--offline", action="store_true", help="ask no server")
    return verb


def run(options) -> int:
    from har.app.doctor import examine

    findings = examine(options.project, online=not options.offline)
    fine = not any(finding.blocks for finding in findings)
    if options.json:
        print(json.dumps({"fine": fine, "findings": [finding._asdict() for finding in findings]}, indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            mark = "BLOCKS" if finding.blocks else "note" if finding.note else "ok"
            print(f"{mark:<6}  {finding.name:<{width}}  {finding.text}")
    return 0 if fine else 1
