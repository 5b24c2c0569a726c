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
    return verb


def run(options) -> int:
    from har.app.export import export

    files = export(options.name, options.folder, profile=options.profile, root=options.project)
    print(f"{options.folder}: {', '.join(files)}")
    return 0
