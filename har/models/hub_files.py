"""Which files of a pretrained model are taken, and what they must look like to be safe and whole."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from har.core.errors import HarError
from har.core.readers import SETTINGS, TOKENIZER, is_text, is_whole, one_line, parse_json, read_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
# What transformers reads of a model, its image processor and its tokenizer.
SMALL_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
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
MAX_SMALL = 64 << 20  # bytes; the largest tokenizer.json in use has about 35 MB
MAX_HEADER = 25_000_000  # bytes; a safetensors header of CLIP has 50 kB
LARGE_FILES = ("tokenizer.json", "vocab.json", "added_tokens.json", INDEX)
# By key, the most that a number may be: how often something is built, and pixels of a processor (True).
LIMITS = {
    False: ((re.compile("layer|depth|block|stage"), 1000), (re.compile("num_(labels|classes)"), 1_000_000)),
    True: ((re.compile("edge|height|width|size|pinpoints"), 10_000),),
}
PICKLES = (".bin", ".pt", ".pth", ".h5", ".msgpack", ".pkl")
# bits an element, https://huggingface.co/docs/safetensors
DTYPES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


def choose_files(
    label: str,
    sizes: Mapping[str, int],
    open_file: Callable[[str], Path],
    sha256: Mapping[str, str] | None,
    max_bytes: int,
    weights: bool,
) -> list[str]:
    """Names of the files to take; HarError if the model is incomplete, too large or not safe."""
    if "config.json" not in sizes:
        raise HarError(f"{label}: config.json is missing; expected a model in transformers' format")
    names = [name for name in SMALL_FILES if name in sizes]
    for name in names:
        if sizes[name] > MAX_SMALL:
            raise HarError(f"{label}: {name} has {sizes[name]} bytes, more than the {MAX_SMALL} allowed")
    for name in names:
        if name.endswith(".json"):
            _check_json(label, name, open_file(name))
    if weights:
        names += _weight_files(label, sizes, open_file)
    total = sum(sizes[name] for name in names)
    if total > max_bytes:
        raise HarError(f"{label}: the files have {total} bytes together, more than the {max_bytes} allowed")
    for name in sha256 or {}:
        if name not in names:
            raise HarError(f"{label}: sha256 names {name}, which is not among {', '.join(names)}")
    return names


def _weight_files(label: str, sizes: Mapping[str, int], open_file: Callable[[str], Path]) -> list[str]:
    if WEIGHTS in sizes:
        return [WEIGHTS]
    if INDEX not in sizes:
        pickles = [n for n in sizes if n.endswith(PICKLES)]
        hint = f" (only {', '.join(sorted(pickles))}, which may run code or is of another framework)" if pickles else ""
        raise HarError(f"{label}: {WEIGHTS} is missing{hint}; choose a revision that has it")
    if sizes[INDEX] > MAX_SMALL:
        raise HarError(f"{label}: {INDEX} has {sizes[INDEX]} bytes, more than the {MAX_SMALL} allowed")
    mapping = _check_json(label, INDEX, open_file(INDEX)).get("weight_map")
    if not isinstance(mapping, dict) or not mapping:
        raise HarError(f"{label}: {INDEX} has no weight_map")
    shards = sorted({str(shard)[:80] for shard in mapping.values()})
    for shard in shards:
        if not SHARD.fullmatch(shard) or shard not in sizes:
            raise HarError(f"{label}: {INDEX} names the shard {shard!r}, which is missing or no safetensors")
    return [INDEX, *shards]


def _check_json(label: str, name: str, path: Path) -> dict:
    """The file's object; HarError if it is none or asks for code of the repository's own."""
    memory = TOKENIZER if name in LARGE_FILES else SETTINGS
    data = read_json(path, "a model in transformers' format", memory=memory, name=f"{label}: {name}")
    if name.endswith("config.json"):
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


def check_model(folder: Path) -> int | None:
    """How many numbers the weights in `folder`, a model in transformers' format, hold; None where it has no weights.

    Raises HarError, naming the file, for what `choose_files` would not take: code of its own, weights that are no
    safetensors or not whole, shards elsewhere. An adapter is refused, as it names a model to be fetched."""
    try:
        sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise HarError(f"{folder}: cannot be read ({error.strerror}); expected a folder with config.json") from None
    if "config.json" not in sizes:
        raise HarError(f"{folder}: config.json is missing; expected a model in transformers' format")
    if "adapter_config.json" in sizes:
        raise HarError(f"{folder}: adapter_config.json: an adapter to another model; expected all weights (merge it)")
    _check_json(str(folder), "config.json", folder / "config.json")
    if not any(name in (WEIGHTS, INDEX) or name.endswith(PICKLES) for name in sizes):
        return None
    held = 0
    for name in _weight_files(str(folder), sizes, lambda name: folder / name):
        if name != INDEX:
            try:
                held += sum(math.prod(shape) for shape in check_safetensors(folder / name).values())
            except HarError as error:
                raise HarError(f"{folder}: {name} {error}") from None
    return held


def check_small_files(folder: Path) -> None:
    """HarError where a JSON file of processor or tokenizer in `folder` is none, too large, or asks for code of its
    own."""
    for name in SMALL_FILES:
        if name.endswith(".json") and (folder / name).exists():
            _check_json(str(folder), name, folder / name)


def check_safetensors(path: Path) -> dict[str, list[int]]:
    """The shapes of the tensors; HarError unless the header describes some that fill the rest of the file exactly."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER):
            raise HarError("is no safetensors file: its header does not fit")
        data = stream.read(length)
    try:
        header = parse_json(data, "header", "tensors", memory=MAX_HEADER * 20)
    except HarError as error:
        raise HarError(f"is no safetensors file: its {error}") from None
    notes = header.pop("__metadata__", None)
    notes = {} if notes is None else notes
    if not isinstance(notes, dict) or not all(map(is_text, (*notes, *notes.values()))):
        raise HarError("is no safetensors file: its __metadata__ is no mapping of text to text")
    shapes, spans = {}, []
    for name, tensor in header.items():
        fits = isinstance(tensor, dict) and is_text(name)
        shape, span, kind = (tensor.get(key) for key in ("shape", "data_offsets", "dtype")) if fits else (0, 0, 0)
        fits = all(isinstance(v, list) and all(map(is_whole, v)) for v in (shape, span)) and isinstance(kind, str)
        fits = fits and len(span) == 2 and len(shape) <= 16  # a few dimensions: their product is to be computed
        if not fits or math.prod(shape) * DTYPES.get(kind, -1) != 8 * (span[1] - span[0]):
            raise HarError(f"is no safetensors file: its header is malformed ({one_line(name, 80)})")
        shapes[name] = shape
        spans.append(tuple(span))
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise HarError("is no safetensors file: its tensors overlap or leave gaps")
        position = end
    if position != size - 8 - length:
        raise HarError(f"is no whole safetensors file: {size - 8 - length} bytes of tensors, not {position}")
    return shapes
