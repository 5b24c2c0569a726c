"""`har new-profile NAME IMAGES`: a profile for own images, written into params.yaml."""

from pathlib import Path

COLUMNS = {
    "image": "the path of the image or clip",
    "label": "the class",
    "group": "what must not straddle a split, as a clip or a person",
    "split": "train, validation or test",
}


def add(verbs):
    verb = verbs.add_parser(
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
    return verb


def run(options) -> int:
    from har.app.new_profile import write_profile

    file = Path(options.project) / "params.yaml"
    columns = {key: getattr(options, key) for key in COLUMNS}
    classes = write_profile(file, options.name, options.images, options.like, columns)
    print(f"{file}: profile {options.name} with {len(classes)} classes: {', '.join(classes)}. Now: dvc repro")
    return 0
