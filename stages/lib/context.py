"""What every stage starts from: its parameters and where its files lie."""

import re
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from har.config.load import Block
from har.config.profile import Params, Profile
from har.core.errors import HarError
from har.core.readers import one_line, read_json

# The active profile filled in, as stage check writes it.
PARAMS = Path("data/params.json")
# Downloads and rendered scenes that outlive a stage: DVC empties a stage's outs before it runs.
CACHE = Path("data/.cache")
# No result depends on these, so no stage lists them in dvc.yaml and every stage has them.
ALWAYS = ("profile", "training.jobs", "training.backend", "training.ray", "store.jobs", "page.jobs")


@dataclass(frozen=True)
class Context:
    """params and profile hold what dvc.yaml lists under the stage's params, and ALWAYS; no more.

    sources: where each encoder of the run comes from. seen: scenes that each miniature saw in pre-training. views: what
    of an image each encoder sees. already: policies of augmentation under which `run` trains CNN_base anyhow, as a
    model of its own. papers: whether the images are the paper's. header: which images and models, for tables.
    digest: of the settings. protocol: whether the settings are those of docs/protocol.md, in words. reports: what
    publish copies to `published`, which is in git.
    """

    params: Params
    profile: Profile
    data: Path
    reports: Path
    published: Path
    sources: dict[str, str]
    seen: dict[str, int]
    views: dict[str, list[str]]
    already: list[str]
    papers: bool
    header: str
    digest: str
    protocol: str

    def titled(self, title: str) -> str:
        """The title of a figure, which travels without the page: what was used stands below it."""
        return f"{title}\n{self.header}"


def read_context(script: str, arguments: Sequence[str]) -> Context:
    """The context of the stage that runs `script` with `arguments`. Raises HarError where check has not run."""
    if not PARAMS.exists():
        raise HarError(f"{PARAMS} is missing: `dvc repro check` writes it from params.yaml")
    whole = read_json(PARAMS, "the parameters of all stages")
    try:
        params, profile, others = partial(whole, keys(script, arguments, whole))
        data = Path("data") / params.profile
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HarError(f"{PARAMS}: broken ({one_line(error)}); `dvc repro -f check` writes it again") from None
    return Context(params, profile, data, data / "reports", Path("reports") / params.profile, **others)


def keys(script: str, arguments: Sequence[str], whole: dict, graph: Path = Path("dvc.yaml")) -> list[str]:
    """What the stage lists in dvc.yaml of PARAMS, its templates filled in from its command's arguments or `whole`."""
    entry = yaml.load(graph.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
    entry = entry[script].get("do", entry[script])
    given = dict(zip(re.findall(r"\$\{([^}]*)\}", entry["cmd"]), arguments, strict=False))
    listed = [key for file in entry.get("params", ()) for key in file[PARAMS.as_posix()]]

    def value(template: re.Match) -> str:
        return given.get(template[1]) or at(whole, template[1])

    return [re.sub(r"\$\{([^}]*)\}", value, key) for key in listed]


def at(whole: dict, key: str):
    for part in key.split("."):
        whole = whole[part]
    return whole


def partial(whole: dict, wanted: Iterable[str]) -> tuple[Params, Profile, dict]:
    """The `wanted` keys of `whole` as the objects that they are part of, and further fields of a Context; what is not
    wanted is no attribute of these.

    Raises KeyError for a key that does not exist.
    """
    found: dict = {}
    for key in (*wanted, *ALWAYS):
        *path, last = key.split(".")
        here = found
        for part in path:
            here = here.setdefault(part, {})
        here[last] = at(whole, key)
    for study in found.pop("fitted", {}).values():
        for block, entries in study.items():
            found.setdefault(block, {}).update(entries)
    run = found.get("run", {})
    if "train" in run:  # names alone
        runs = [name.split("-", 1) for name in run["train"]]
        run["train"] = {f"{task}-{model}": {"task": task, "model": model} for task, model in runs}
    taken = ("sources", "seen", "views", "already", "papers", "header", "digest", "protocol")
    others = {key: found.pop(key, None) for key in taken}
    name = found.pop("profile")
    blocks = {key: _as(field.annotation, found.pop(key)) for key, field in Params.model_fields.items() if key in found}
    return Params.model_construct(profile=name, **blocks), _as(Profile, found), others


def _as(kind, value):
    """`value` as `kind`, of whose blocks some keys may have been left out."""
    if isinstance(kind, type) and issubclass(kind, Block):
        if value.keys() >= kind.model_fields.keys():
            return kind.model_validate(value)
        return kind.model_construct(**{key: _as(kind.model_fields[key].annotation, one) for key, one in value.items()})
    if typing.get_origin(kind) is dict:
        return {key: _as(typing.get_args(kind)[1], one) for key, one in value.items()}
    return TypeAdapter(kind).validate_python(value)
