"""Data as scripts: a page opened from disk may load scripts, but may not fetch files."""

import base64
import json
from pathlib import Path

import numpy as np

from har.core.files import write_text


def write_script(path: Path, name: str, value: object) -> None:
    """`value` at `harData[name]`. ASCII only and no `<`, so that it is the same text wherever it is put."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    write_text(path, f"(globalThis.harData ??= {{}})[{json.dumps(name)}] = {text};\n")


def packed(values: np.ndarray, kind: str) -> str:
    """`values` as base64 of numbers of `kind`: 'u1', 'u2' or 'u4', little-endian, in C order."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()).decode("ascii")
