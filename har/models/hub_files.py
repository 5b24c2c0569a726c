"""Which files of a pretrained model are taken, and what they must look like to be safe and whole."""

import math
import re
from collections.abc import Collection
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
# By key, the most that a number may be: how often a model builds something, and the pixels of a processor.
COUNTS = ((re.compile("layer|depth|block|stage"), 1000), (re.compile("num_(labels|classes)"), 1_000_000))
PIXELS = ((re.compile("edge|height|width|size|pinpoints"), 10_000),)
PICKLES = (".bin", ".pt", ".pth", ".h5", ".msgpack", ".pkl")


def transformers_files(names: Collection[str], weights: bool = True) -> list[str]:
    """Those of the files `names` that a model in transformers' format consists of. HarError where some are missing."""
    if "config.json" not in names:
        raise HarError("config.json is missing; expected a model in transformers' format")
    small = [name for name in SMALL_FILES if name in names]
    return small + weight_files(names) if weights else small


def weight_files(names: Collection[str]) -> list[str]:
    """The weights among the files `names` of a model: one file, or an index and shards. HarError where there are no
    safetensors."""
    if WEIGHTS in names:
        return [WEIGHTS]
    if INDEX in names:
        return [INDEX, *sorted(filter(SHARD.fullmatch, names))]
    raise _missing(WEIGHTS, names, "may run code or is of another framework", "; choose a revision that has it")


def open_clip_files(names: Collection[str], weights: str = "") -> list[str]:
    """As `transformers_files`, of a model in open_clip's format, whose weights come in one file. weights: a further
    name of that, of a model whose configuration open_clip has itself."""
    if not weights and OPEN_CLIP not in names:
        raise HarError(f"{OPEN_CLIP} is missing; expected a model in open_clip's format")
    found = [name for name in (*OPEN_CLIP_WEIGHTS, weights) if name in names]
    if not found:
        raise _missing(OPEN_CLIP_WEIGHTS[0], names, "may run code")
    return [*(name for name in (OPEN_CLIP, *TOKENIZER_FILES) if name in names), found[0]]


def _missing(wanted: str, names: Collection[str], why_not: str, advice: str = "") -> HarError:
    pickles = sorted(name for name in names if name.endswith(PICKLES))
    hint = f" (only {', '.join(pickles)}, which {why_not})" if pickles else ""
    return HarError(f"{wanted} is missing{hint}{advice}")


def check_json(path: Path) -> dict:
    """The object in a file of a model; HarError if it is none or asks for code of the repository's own."""
    name = path.name
    data = read_json(path, "a model in transformers' format", most=TOKENIZER if name in LARGE_FILES else SETTINGS)
    if not name.endswith("config.json"):
        return data
    stack: list[tuple[str, Any]] = [("", data)]
    while stack:
        above, value = stack.pop()
        if isinstance(value, dict):
            for key in ("auto_map", "custom_pipelines"):
                if value.get(key):
                    raise HarError(f"{path} has {key}: it wants to run code from the repository")
            stack.extend((key, v) for key, v in value.items() if key not in ("id2label", "label2id"))
        elif isinstance(value, list):
            stack.extend((above, v) for v in value)
        elif "attn_implementation" in above and "/" in str(value):  # a repository of compiled kernels
            raise HarError(f"{path} has {above}: it wants to run code from {one_line(str(value), 60)}")
        elif type(value) is int:
            for keys, most in PIXELS if "processor" in name else COUNTS:
                if keys.search(above) and value > most:
                    raise HarError(f"{path}: {above:.60} is {value!r:.30}, at most {most:,} allowed")
    return data


def check_small_files(folder: Path) -> None:
    """HarError where a JSON file of configuration, processor or tokenizer in `folder` is none, too large, or asks for
    code of its own."""
    for name in (*SMALL_FILES, OPEN_CLIP):
        if name.endswith(".json") and (folder / name).exists():
            check_json(folder / name)


def check_model(folder: Path) -> int | None:
    """How many numbers the weights in `folder`, a model in transformers' format, hold; None where it has no weights.

    Raises HarError, naming the file, for code of its own, weights that are no safetensors or not whole, shards
    elsewhere. An adapter is refused, as it names a model to be fetched."""
    try:
        names = {path.name for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise HarError(f"{folder}: cannot be read ({error.strerror}); expected a folder with config.json") from None
    if "config.json" not in names:
        raise HarError(f"{folder}: config.json is missing; expected a model in transformers' format")
    if "adapter_config.json" in names:
        raise HarError(f"{folder}: adapter_config.json: an adapter to another model; expected all weights (merge it)")
    if check_json(folder / "config.json").get("model_type") == "open_clip":
        raise HarError(
            f"{folder}: an encoder of open_clip's gives embeddings (rows from captions alone, probes, MLPs) and cannot "
            "be fine-tuned or explained"
        )
    if not any(name in (WEIGHTS, INDEX) or name.endswith(PICKLES) for name in names):
        return None
    try:
        found = weight_files(names)
    except HarError as error:
        raise HarError(f"{folder}: {error}") from None
    if found[0] == INDEX:
        weight_map = check_json(folder / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise HarError(f"{folder / INDEX} has no weight_map")
        found = sorted({str(shard)[:80] for shard in weight_map.values()})
        for shard in found:
            if not SHARD.fullmatch(shard) or shard not in names:
                raise HarError(f"{folder / INDEX} names the shard {shard!r}, which is missing or no safetensors")
    return sum(count_numbers(folder / name) for name in found)


def count_numbers(path: Path) -> int:
    """How many numbers a safetensors file holds; HarError unless it is whole."""
    return sum(math.prod(shape) for shape in check_safetensors(path).values())


def check_safetensors(path: Path) -> dict[str, list[int]]:
    """The shapes of the tensors; HarError unless the header describes some that fill the rest of the file exactly."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}
    except SafetensorError as error:
        raise HarError(f"{path} is no whole safetensors file: {one_line(error, 120)}") from None


def model_type(folder: str | Path) -> str:
    """What a checkpoint's config.json calls its architecture; empty where there is none."""
    path = Path(folder) / "config.json"
    return str(read_json(path, "a model").get("model_type")) if path.exists() else ""
