"""The settings of profile coco that docs/protocol.md fixes before anybody runs it, and how a run's differ from them.

`make protocol` (har.dev.protocol) writes them from params.yaml: before the first run, never after a look at results.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from har.config.overrides import leaves
from har.core.readers import read_json

PROFILE, SETTINGS = "coco", Path("docs/protocol.json")
# Of data/params.json: what the machine decides and the page's sizes; for the protocol also what other profiles read,
# studies beside its question, and what is derived from other keys.
MACHINE = ("training.jobs", "training.backend", "training.ray.*", "training.device", "store.jobs", "page.*")
LEFT_OUT = (
    *MACHINE, "profile", "embed.batch_size", "data.server.url", "data.server.connections", "data.world.*",
    "data.folder.*", "data.csv.*", "data.video.*", "data.clips.*", "backbones.*.folder", "pretrain.*", "simulation.*",
    "run.noise", "run.generative", "policies.*", "ablation.*", "audit.*", "controls.*", "errors.*",
    "explain.*", "generative.*", "learning_curve.*", "masking.*", "noise.*", "fitted.*", "sources.*", "seen*",
    "views.*", "already", "papers", "header", "digest", "protocol", "report.clips",
)  # fmt: skip


def settings(whole: Mapping, left_out: Iterable[str] = LEFT_OUT) -> dict[str, object]:
    """What the protocol fixes of data/params.json, by dotted key; or all but the keys of the patterns `left_out`."""
    found = {".".join(path): value for path, value in leaves(whole).items()}
    return {key: found[key] for key in sorted(found) if not any(fnmatchcase(key, one) for one in left_out)}


def digest(found: Mapping[str, object]) -> str:
    """The hash of `settings`."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:12]


def papers_images(whole: Mapping, fixed: Path = SETTINGS) -> bool:
    """Whether images and activities are the paper's: COCO's val2017, from the archive in `fixed`."""
    if whole["data"]["source"] != "server":
        return False
    now, then = settings(whole), read_json(fixed, "the settings of docs/protocol.md")
    return all(now.get(key) == then[key] for key in then if key.startswith(("data.", "tasks.activity")))


def state(whole: Mapping, fixed: Path = SETTINGS) -> str:
    """In one sentence, whether the settings of data/params.json are those in `fixed`, and which are not; empty for any
    other profile than the one that `fixed` is of."""
    if whole["profile"] != PROFILE:
        return ""
    now, then = settings(whole), read_json(fixed, "the settings of docs/protocol.md")
    if differing := sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key)):
        return f"Settings differ from docs/protocol.md in: {', '.join(differing)}."
    return f"Settings are those of docs/protocol.md (sha256 {digest(now)})."
