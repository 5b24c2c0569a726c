"""The verbs of `har` that do little themselves; each imports what it runs when it is called."""

import json
from pathlib import Path

from har.core.errors import HarError

COLUMNS = {
    "image": "the path of the image or clip",
    "label": "the class",
    "group": "what must not straddle a split, as a clip or a person",
    "split": "train, validation or test",
}


def add(group) -> None:
    """Their options."""
    verb = group.add_parser(
        "models",
        help="what is trained, with its scores",
        description="List the trained models of a profile: balanced accuracy with its interval over images, the seed "
        "that was kept, parameters, size and place.",
    )
    verb.add_argument("--json", action="store_true", help="a JSON list")
    _add_profile(verb, models)

    verb = group.add_parser(
        "export",
        help="copy a trained model, with its model card",
        description="Copy a trained model to a new folder with its model card (README.md). ViT opens there with "
        "transformers alone, as do CLIP and SigLIP with `pool: patches` or a head of texts; the others with "
        "`har predict --model FOLDER`.",
    )
    verb.add_argument("name", metavar="NAME", help="a trained model; `har models` lists them")
    verb.add_argument("folder", metavar="FOLDER", help="a folder that does not exist yet, or is empty")
    verb.add_argument(
        "--fiftyone",
        action="store_true",
        help="instead, the images with their labels and the model's (or row's) predictions, as a data set for FiftyOne",
    )
    _add_profile(verb, export)

    verb = group.add_parser(
        "page",
        help="write the results as one HTML file to mail",
        description="Write the page of a profile with its figures into one HTML file, without the gallery.",
    )
    verb.add_argument("file", metavar="FILE", help="the file to write, results.html say")
    _add_profile(verb, page)

    verb = group.add_parser(
        "doctor",
        help="what this machine has, and what a run will cost",
        description="Look at this machine, the parameters, the servers of the active profile, and what its run will "
        "cost. Exit code 1 where something blocks a run.",
    )
    verb.add_argument("--json", action="store_true", help="a JSON object")
    verb.add_argument("--offline", action="store_true", help="ask no server")
    verb.set_defaults(run=doctor)

    verb = group.add_parser(
        "new-profile",
        help="a profile for your own images",
        description="Look at your images and write what differs from another profile into params.yaml: their classes "
        "and prompts, and where they lie. The new profile becomes the active one; `dvc repro` runs it. Images lie in a "
        "folder for each class, also below train, val and test, or are named by a table, whose columns are recognised; "
        "clips likewise, and UCF-101's lists of train and test are taken where they lie beside them.",
    )
    verb.add_argument("name", metavar="NAME", help="of the profile: lower-case letters, digits and underscores")
    verb.add_argument(
        "images", metavar="IMAGES", help="a folder with a folder for each class, or a CSV file, of images or clips"
    )
    verb.add_argument("--like", default="sample", metavar="PROFILE", help="what it starts from (sample)")
    for key, what in COLUMNS.items():
        verb.add_argument(f"--{key}", default="", metavar="COLUMN", help=f"of a table: the column with {what}")
    verb.set_defaults(run=new_profile)

    verb = group.add_parser(
        "demo",
        help="a page in the browser that takes a photograph",
        description='Start a page that takes a photograph. Needs gradio: pip install "har-still[demo]".',
    )
    verb.add_argument("--model", default="", metavar="NAME|FOLDER", help="default: as for har predict")
    verb.add_argument("--port", type=int, default=7860)
    _add_profile(verb, demo)


def _add_profile(verb, run) -> None:
    verb.add_argument("--profile", default="", help="default: the active profile of params.yaml")
    verb.set_defaults(run=run)


def models(options) -> int:
    """`har models`: what is trained, and how good it is."""
    from har.models.registry import SPLITS, trained

    profile = options.profile or _active(options)
    found = trained(profile, options.project)
    if not found:
        raise HarError(f"profile {profile} has no trained model: run `dvc repro` or `dvc pull` first")
    if options.json:
        keys = ("name", "profile", "task", "model", "bytes", "metrics")
        listed = [
            {key: getattr(one, key) for key in keys}
            | {"folder": str(one.folder), "opens_in_transformers": bool(one.pipeline)}
            for one in found
        ]
        print(json.dumps(listed, indent=2, ensure_ascii=False))
        return 0
    print(f"profile {profile}; balanced accuracy: mean over runs [interval over images]; held out: test and extended")
    shown = (split.replace("_", " ") for split in SPLITS)
    rows = [["name", *shown, "seed", "parameters", "MB", "opens with", "folder"]]
    for one in found:
        scores = [_score(one.metrics.get(split)) for split in SPLITS]
        seed, parameters = one.metrics.get("kept_seed", "-"), one.metrics.get("parameters")
        opens = "transformers" if one.pipeline else "har"
        count = "-" if parameters is None else f"{parameters:,}"
        rows.append([one.name, *scores, str(seed), count, f"{one.bytes / 1e6:.1f}", opens, str(one.folder)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _active(options) -> str:
    from har.config.profile import load_params

    return load_params(Path(options.project) / "params.yaml").profile


def _score(found: dict | None) -> str:
    from har.models.registry import ENDS

    if not found:
        return "-"
    interval = " [{:.3f}, {:.3f}]".format(*map(found.get, ENDS)) if set(ENDS) <= set(found) else ""
    return f"{found['balanced_accuracy']:.3f}{interval}"


def export(options) -> int:
    """`har export NAME FOLDER`: a checkpoint to keep, with its model card."""
    from har.app.export import export
    from har.app.fiftyone import write_dataset

    if options.fiftyone:
        count = write_dataset(options.name, Path(options.folder), profile=options.profile, root=Path(options.project))
        print(f"{options.folder}: {count:,} images; fiftyone.Dataset.from_dir(..., fiftyone.types.FiftyOneDataset)")
        return 0
    files = export(options.name, options.folder, profile=options.profile, root=options.project)
    print(f"{options.folder}: {', '.join(files)}")
    return 0


def page(options) -> int:
    """`har page FILE`: the results as one file to mail."""
    from har.app.single import write_single

    profile = options.profile or _active(options)
    size = write_single(Path(options.project) / "reports" / profile / "index.html", Path(options.file))
    print(f"{options.file}: {size / 1e6:.1f} MB")
    return 0


def doctor(options) -> int:
    """`har doctor`: can this machine run the active profile, and what will it cost?"""
    from har.app.doctor import examine

    findings = examine(options.project, online=not options.offline)
    fine = not any(finding.blocks for finding in findings)
    if options.json:
        print(json.dumps({"fine": fine, "findings": [finding._asdict() for finding in findings]}, indent=2))
        return 0 if fine else 1
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "BLOCKS" if finding.blocks else "note" if finding.note else "ok"
        print(f"{mark:<6}  {finding.name:<{width}}  {finding.text}")
    return 0 if fine else 1


def new_profile(options) -> int:
    """`har new-profile NAME IMAGES`: a profile for own images, written into params.yaml."""
    from har.app.new_profile import write_profile

    file = Path(options.project) / "params.yaml"
    images, columns = options.images, {key: getattr(options, key) for key in COLUMNS}
    if Path(options.project).resolve() != Path.cwd():  # where a run starts from
        images = str(Path(images).expanduser().absolute())
    classes = write_profile(file, options.name, images, options.like, columns)
    print(f"{file}: profile {options.name} with {len(classes)} classes: {', '.join(classes)}. Now: dvc repro")
    return 0


def demo(options) -> int:
    """`har demo`: a page in the browser that takes a photograph."""
    from har.app.demo import page

    # of this machine alone: photographs of people are nobody else's business
    page(options.model, profile=options.profile, root=options.project).launch(
        server_name="127.0.0.1", server_port=options.port, share=False, show_error=True
    )
    return 0
