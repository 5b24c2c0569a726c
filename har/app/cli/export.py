"""`har export NAME FOLDER`: a checkpoint to keep, with its model card."""


def add(verbs):
    verb = verbs.add_parser(
        "export",
        help="copy a trained model, with its model card",
        description="Copy a trained model to a new folder with its model card (README.md). ViT, CLIP and SigLIP open "
        "there with transformers alone; the others with `har predict --model FOLDER`.",
    )
    verb.add_argument("name", metavar="NAME", help="a trained model; `har models` lists them")
    verb.add_argument("folder", metavar="FOLDER", help="a folder that does not exist yet, or is empty")
    verb.add_argument("--profile", default="", help="default: the active profile of params.yaml")
    verb.add_argument(
        "--fiftyone",
        action="store_true",
        help="instead, the images with their labels and the model's (or row's) predictions, as a data set for FiftyOne",
    )
    return verb


def run(options) -> int:
    from pathlib import Path

    from har.app.export import export
    from har.app.fiftyone import write_dataset

    if options.fiftyone:
        count = write_dataset(options.name, Path(options.folder), profile=options.profile, root=Path(options.project))
        print(f"{options.folder}: {count:,} images; fiftyone.Dataset.from_dir(..., fiftyone.types.FiftyOneDataset)")
        return 0

    files = export(options.name, options.folder, profile=options.profile, root=options.project)
    print(f"{options.folder}: {', '.join(files)}")
    return 0
