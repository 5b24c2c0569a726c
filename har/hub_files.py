"""Which files of a pretrained model are taken, and what they must look like to be safe and whole."""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from har.errors import HarError

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
        pickles = [n for n in sizes if n.endswith((".bin", ".pt", ".pth", ".h5", ".msgpack"))]
        hint = f" (only {', '.join(sorted(pickles))}, which may run code or is of another framework)" if pickles else ""
        raise HarError(f"{label}: {WEIGHTS} is missing{hint}; choose a revision that has it")
    if sizes[INDEX] > MAX_SMALL:
        raise HarError(f"{label}: {INDEX} has {sizes[INDEX]} bytes, more than the {MAX_SMALL} allowed")
    mapping = _check_json(label, INDEX, open_file(INDEX)).get("weight_map")
    if not isinstance(mapping, dict) or not mapping:
        raise HarError(f"{label}: {INDEX} has no weight_map")
    shards = sorted({str(shard) for shard in mapping.values()})
    for shard in shards:
        if not SHARD.fullmatch(shard) or shard not in sizes:
            raise HarError(f"{label}: {INDEX} names the shard {shard!r:.80}, which is missing or no safetensors")
    return [INDEX, *shards]


def _check_json(label: str, name: str, path: Path) -> dict:
    """The file's object; HarError if it is none or asks for code of the repository's own."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise HarError(f"{label}: {name} cannot be read as JSON ({error})") from None
    if not isinstance(data, dict):
        raise HarError(f"{label}: {name} is not a JSON object")
    if name.endswith("config.json"):
        stack: list[Any] = [data]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                for key in ("auto_map", "custom_pipelines"):
                    if value.get(key):
                        raise HarError(f"{label}: {name} has {key}: it wants to run code from the repository")
                stack.extend(value.values())
            elif isinstance(value, list):
                stack.extend(value)
    return data


def check_safetensors(path: Path) -> None:
    """Raises HarError unless the header describes tensors that fill the rest of the file exactly."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER):
            raise HarError("is no safetensors file: its header does not fit")
        try:
            header = json.loads(stream.read(length))
            spans = []
            for name, tensor in header.items():
                if name == "__metadata__":
                    continue
                start, end = tensor["data_offsets"]
                shape = tensor["shape"]
                whole = all(type(n) is int and n >= 0 for n in (start, end, *shape))
                if not whole or math.prod(shape) * DTYPES[tensor["dtype"]] != 8 * (end - start):
                    raise ValueError(name)
                spans.append((start, end))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise HarError(f"is no safetensors file: its header is malformed ({error})"[:200]) from None
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise HarError("is no safetensors file: its tensors overlap or leave gaps")
        position = end
    if position != size - 8 - length:
        raise HarError(f"is no whole safetensors file: {size - 8 - length} bytes of tensors, not {position}")
