"""`har predict PHOTO...`: one row a photograph or clip, with the probability of each class."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from har.core.errors import HarError
from har.core.readers import is_text, one_line


def add(group) -> None:
    verb = group.add_parser(
        "predict",
        help="what people do in your photographs and clips",
        description="Predict the activity in photographs and clips. PHOTO is a file, a folder (searched through), a "
        "pattern, or - for standard input: paths, one a line, or the bytes of one image. Exit code 0: all predicted; "
        "1: some could not be read; 2: nothing to do.",
    )
    verb.add_argument("photos", nargs="+", metavar="PHOTO")
    verb.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME|FOLDER",
        help="a trained model or row (`har models` lists them) or a checkpoint's folder; may be given several times; "
        "default: the best for activities, chosen on train and validation images",
    )
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="comma-separated values with a header")
    verb.add_argument("--frames", action="store_true", help="of a clip a row for each frame, not their mean")
    verb.add_argument("--explain", metavar="DIR", help="write what each class was seen in, one PNG a photo and class")
    verb.add_argument("--batch", type=int, default=32, metavar="N", help="photographs computed together (32)")
    verb.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    verb.add_argument("--profile", default="", help="whose models; default: the active profile of params.yaml")
    verb.set_defaults(run=run)


def run(options) -> int:
    if hasattr(sys.stdout, "reconfigure"):  # names of files need be no UTF-8, nor has every terminal all characters
        utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    if options.batch < 1:
        raise HarError(f"--batch is {options.batch}, expected at least 1")
    from har.data import photographs
    from har.data.video.decode import SUFFIXES as CLIPS

    # once through, so that a mistyped path is told before a model is loaded; names alone, so it weighs little
    others: Counter[str] = Counter()
    found = list(photographs.find(options.photos, getattr(sys.stdin, "buffer", None), others, CLIPS))
    if others:
        read = ", ".join((*photographs.suffixes(), *CLIPS))
        print(f"har predict: left out: {photographs.left_out(others)}; read are {read}", file=sys.stderr)
    if not any(photograph.source is not None for photograph in found):
        for photograph in found:
            print(f"har predict: {one_line(photograph.error, 1000)}", file=sys.stderr)
        raise HarError("no photograph to predict")
    from tqdm import tqdm

    models = list(_models(options))
    classes = list(dict.fromkeys(name for model in models for name in model.classes))
    write = _writer(options, classes)
    failed = False
    for model in models:
        predictions = model.stream(found, options.batch, by_frame=options.frames)
        bar = {"total": len(found), "desc": model.name, "unit": "photo", "disable": not sys.stderr.isatty()}
        for prediction in tqdm(predictions, **bar):
            if prediction.error is not None:
                failed = True
                if model is models[0]:  # once is enough
                    _tell(f"har predict: {one_line(prediction.error, 1000)}")
            write(prediction)
        if options.explain:
            from har.app.explain import explain_photographs

            try:
                explain_photographs(model, found, Path(options.explain))
            except HarError as error:
                _tell(f"har predict: --explain: {error}")
                failed = True
    sys.stdout.flush()
    return 1 if failed else 0


def _models(options) -> Iterator:
    import warnings

    from PIL import Image

    from har.app.predict import load

    # every photograph is bounded and told in one line (har.data.photographs); these would come on top
    warnings.filterwarnings("ignore", module="PIL")
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    for name in options.model or [""]:
        model = load(name, profile=options.profile, root=options.project, device=options.device)
        chosen = "" if name else ", the best on train and validation images; --model takes another"
        _tell(f"model: {model.name} ({', '.join(model.classes)}){chosen}")
        yield model


def _tell(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)  # does not tear a progress bar apart


def _writer(options, classes: list[str]) -> Callable:
    """What prints a prediction in the form that was asked for; the header is printed now."""

    def as_json(one) -> None:
        row = {"path": one.path, "model": one.model, "predicted": one.label}
        row |= {"probabilities": one.probabilities} if one.error is None else {"error": one.error}
        print(json.dumps(row, ensure_ascii=not is_text(one.path)))  # bytes that are no UTF-8 can only be escaped

    def as_row(one) -> None:
        shares = one.probabilities or {}
        table.writerow([one.path, one.model, one.label, *map(shares.get, classes), one.error])

    def as_line(one) -> None:
        if one.error is None:  # errors are told on stderr
            shares = one.probabilities
            cells = [f"{shares[name]:>{width}.3f}" if name in shares else " " * width for name in classes]
            name = one_line(one.path, 1000) + (f"  [{one.model}]" if len(options.model) > 1 else "")
            print("  ".join([f"{one.label:<{width}}", *cells, name]))

    if options.json:
        return as_json
    if options.csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(["path", "model", "predicted", *(f"p_{name}" for name in classes), "error"])
        return as_row
    width = max(10, *map(len, classes))
    print("  ".join([f"{'predicted':<{width}}", *(f"{name:>{width}}" for name in classes), "photo"]))
    return as_line
