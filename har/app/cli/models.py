"""`har models`: what is trained, and how good it is."""

import json


def add(verbs):
    verb = verbs.add_parser(
        "models",
        help="what is trained, with its scores",
        description="List the trained models of a profile: balanced accuracy with its interval over images, the seed "
        "that was kept, parameters, size and place.",
    )
    verb.add_argument("--json", action="store_true", help="a JSON list")
    verb.add_argument("--profile", default="", help="default: the active profile of params.yaml")
    return verb


def run(options) -> int:
    from pathlib import Path

    from har.config.profile import load_params
    from har.core.errors import HarError
    from har.models.registry import SPLITS, trained

    profile = options.profile or load_params(Path(options.project) / "params.yaml").profile
    found = trained(profile, options.project)
    if not found:
        raise HarError(f"profile {profile} has no trained model: run `dvc repro` or `dvc pull` first")
    if options.json:
        print(json.dumps([_described(one) for one in found], indent=2, ensure_ascii=False))
        return 0
    print(f"profile {profile}; balanced accuracy: mean over runs [interval over images]; held out: test and extended")
    columns = [
        "name",
        *(split.replace("_", " ") for split in SPLITS),
        "seed",
        "parameters",
        "MB",
        "opens with",
        "folder",
    ]
    rows = [columns]
    for one in found:
        scores = [_score(one.metrics.get(split)) for split in SPLITS]
        seed, parameters = one.metrics.get("kept_seed", "-"), one.metrics.get("parameters")
        opens = "transformers" if one.pipeline else "har"
        count = "-" if parameters is None else f"{parameters:,}"
        rows.append([one.name, *scores, str(seed), count, f"{one.bytes / 1e6:.1f}", opens, str(one.folder)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _score(found: dict | None) -> str:
    from har.models.registry import ENDS

    if not found:
        return "-"
    interval = " [{:.3f}, {:.3f}]".format(*map(found.get, ENDS)) if set(ENDS) <= set(found) else ""
    return f"{found['balanced_accuracy']:.3f}{interval}"


def _described(one) -> dict:
    return {
        "name": one.name,
        "profile": one.profile,
        "task": one.task,
        "model": one.model,
        "folder": str(one.folder),
        "bytes": one.bytes,
        "opens_in_transformers": bool(one.pipeline),
        "metrics": one.metrics,
    }
