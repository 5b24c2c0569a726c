"""`har page FILE`: the results as one file to mail."""


def add(verbs):
    verb = verbs.add_parser(
        "page",
        help="write the results as one HTML file to mail",
        description="Write the page of a profile with its figures into one HTML file, without the gallery.",
    )
    verb.add_argument("file", metavar="FILE", help="the file to write, results.html say")
    verb.add_argument("--profile", default="", help="default: the active profile of params.yaml")
    return verb


def run(options) -> int:
    from pathlib import Path

    from har.app.single import write_single
    from har.config.profile import load_params

    root = Path(options.project)
    profile = options.profile or load_params(root / "params.yaml").profile
    size = write_single(root / "reports" / profile / "index.html", Path(options.file))
    print(f"{options.file}: {size / 1e6:.1f} MB")
    return 0
