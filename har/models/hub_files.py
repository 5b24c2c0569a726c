"""Which files of a pretrained model are taken, and what they must look like to be safe and whole."""

import math
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from har.core.errors import HarError
from har.core.readers import SETTINGS, TOKENIZER, one_line, read_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
OPEN_CLIP = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
# What transformers reads of a model, its image processor and its tokenizer.
SMALL_FILES = ("config.json", "preprocessor_config.json", "processor_config.json", *TOKENIZER_FILES)
LARGE_FILES = ("tokenizer.json", "vocab.json", "added_tokens.json", INDEX)
# By key, the most that a number may be: how often something is built, and pixels of a processor (True).
LIMITS = {
    False: ((re.compile("layer|depth|block|stage"), 1000), (re.compile("num_(labels|classes)"), 1_000_000)),
    True: ((re.compile("edge|height|width|size|pinpoints"), 10_000),),
}
PICKLES = (".bin", ".pt", ".pth", ".h5", ".msgpack", ".pkl")


def weight_files(label: str, names: Collection[str]) -> list[str]:
    """The weights among the files `names` of a model: one file, or an index and shards. HarError where there are no
    safetensors."""
    if WEIGHTS in names:
        return [WEIGHTS]
    if INDEX in names:
        return [INDEX, *sorted(filter(SHARD.fullmatch, names))]
    raise HarError(
        _missing(label, WEIGHTS, names, "may run code or is of another framework", "; choose a revision that has it")
    )


def _missing(label: str, wanted: str, names: Collection[str], why_not: str, advice: str = "") -> str:
    pickles = sorted(name for name in names if name.endswith(PICKLES))
    hint = f" (only {', '.join(pickles)}, which {why_not})" if pickles else ""
    return f"{label}: {wanted} is missing{hint}{advice}"


def check_json(label: str, name: str, path: Path) -> dict:
    """The file's object; HarError if it is none or asks for code of the repository's own."""
    most = TOKENIZER if name in LARGE_FILES else SETTINGS
    data = read_json(path, "a model in transformers' format", most=most, name=f"{label}: {name}")
    if not name.endswith("config.json"):
        return data
    stack: list[tuple[str, Any]] = [("", data)]
    while stack:
        above, value = stack.pop()
        if isinstance(value, dict):
            for key in ("auto_map", "custom_pipelines"):
                if value.get(key):
                    raise HarError(f"{label}: {name} has {key}: it wants to run code from the repository")
            stack.extend((key, v) for key, v in value.items() if key not in ("id2label", "label2id"))
        elif isinstance(value, list):
            stack.extend((above, v) for v in value)
        elif "attn_implementation" in above and "/" in str(value):  # a repository of compiled kernels
            raise HarError(f"{label}: {name} has {above}: it wants to run code from {one_line(str(value), 60)}")
        elif type(value) is int:
            for keys, most in LIMITS["processor" in name]:
                if keys.search(above) and value > most:
                    raise HarError(f"{label}: {name}: {above:.60} is {value!r:.30}, at most {most:,} allowed")
    return data


def check_model(folder: Path, label: str = "") -> int | None:
    """How many numbers the weights in `folder`, a model in transformers' format, hold; None where it has no weights.

    Raises HarError, naming the file, for code of its own, weights that are no safetensors or not whole, shards
    elsewhere. An adapter is refused, as it names a model to be fetched."""
    label = label or str(folder)
    try:
        names = {path.name for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise HarError(f"{label}: cannot be read ({error.strerror}); expected a folder with config.json") from None
    if "config.json" not in names:
        raise HarError(f"{label}: config.json is missing; expected a model in transformers' format")
    if "adapter_config.json" in names:
        raise HarError(f"{label}: adapter_config.json: an adapter to another model; expected all weights (merge it)")
    if check_json(label, "config.json", folder / "config.json").get("model_type") == "open_clip":
        raise HarError(
            f"{label}: an encoder of open_clip without a counterpart in transformers: it gives embeddings (rows from "
            "captions alone, probes, MLPs) and cannot be fine-tuned or explained"
        )
    if not any(name in (WEIGHTS, INDEX) or name.endswith(PICKLES) for name in names):
        return None
    if WEIGHTS in names:
        return _numbers(label, folder, [WEIGHTS])
    weight_files(label, names)
    shards = check_json(label, INDEX, folder / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise HarError(f"{label}: {INDEX} has no weight_map")
    shards = sorted({str(shard)[:80] for shard in shards.values()})
    for shard in shards:
        if not SHARD.fullmatch(shard) or shard not in names:
            raise HarError(f"{label}: {INDEX} names the shard {shard!r}, which is missing or no safetensors")
    return _numbers(label, folder, shards)


def _numbers(label: str, folder: Path, names: Iterable[str]) -> int:
    """How many numbers these safetensors hold; HarError, naming the file, for one that is not whole."""
    held = 0
    for name in names:
        try:
            held += sum(math.prod(shape) for shape in check_safetensors(folder / name).values())
        except HarError as error:
            raise HarError(f"{label}: {name} {error}") from None
    return held


def model_type(folder: str | Path) -> str:
    """What a checkpoint's config.json calls its architecture; empty where there is none."""
    path = Path(folder) / "config.json"
    return str(read_json(path, "a model").get("model_type")) if path.exists() else ""


def check_small_files(folder: Path, label: str = "", names: Collection[str] = SMALL_FILES) -> None:
    """HarError where a JSON file of processor or tokenizer in `folder` is none, too large, or asks for code of its
    own."""
    for name in names:
        if name.endswith(".json") and (folder / name).exists():
            check_json(label or str(folder), name, folder / name)


def check_safetensors(path: Path) -> dict[str, list[int]]:
    """The shapes of the tensors; HarError unless the header describes some that fill the rest of the file exactly."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}
    except SafetensorError as error:
        raise HarError(f"is no whole safetensors file: {one_line(error, 120)}") from None


def open_clip_weights(label: str, names: Collection[str], others: tuple[str, ...] = ()) -> list[str]:
    """The weights among the files `names` of a model in open_clip's format, which come in one file. HarError where
    there are no safetensors. others: further names that they may have."""
    found = [name for name in (*OPEN_CLIP_WEIGHTS, *others) if name in names]
    if not found:
        raise HarError(_missing(label, OPEN_CLIP_WEIGHTS[0], names, "may run code"))
    return found[:1]


def check_open_clip(folder: Path) -> int:
    """As `check_model`, of a model in open_clip's format."""
    return _numbers(str(folder), folder, open_clip_weights(str(folder), [file.name for file in folder.iterdir()]))


@dataclass(frozen=True)
class Format:
    """Which files a model consists of.

    first: the file that describes it, which must be there (empty: none must). small: what is taken beside the weights.
    weights: their names among those of a folder. check: HarError unless the weights there are whole.
    """

    name: str
    first: str
    small: tuple[str, ...]
    weights: Callable[[str, Collection[str]], list[str]]
    check: Callable[[Path, str], object]


TRANSFORMERS = Format("transformers'", "config.json", SMALL_FILES, weight_files, check_model)
OPEN_CLIP_FORMAT = Format(
    "open_clip's", OPEN_CLIP, (OPEN_CLIP, *TOKENIZER_FILES), open_clip_weights, lambda folder, label: None
)
