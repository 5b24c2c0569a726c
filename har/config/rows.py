"""The block `rows` of params.yaml: rows of the tables that train no network, beside those that every encoder has."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from har.config.load import Block
from har.config.types import Distinct, View, check_known


class ProbeRow(Block):
    """A logistic regression on an encoder's frozen embeddings of some views, side by side."""

    kind: Literal["probe"]
    backbone: str
    views: Annotated[list[View], Field(min_length=1), Distinct]


class ZeroShotRow(ProbeRow):
    """The nearest prompts, by the mean over views of log-probabilities."""

    kind: Literal["zero_shot"]


class EnsembleRow(Block):
    """The mean of the log-probabilities of other rows or trained models."""

    kind: Literal["ensemble"]
    members: Annotated[list[str], Field(min_length=2), Distinct]


Row = Annotated[ProbeRow | ZeroShotRow | EnsembleRow, Field(discriminator="kind")]
KINDS = ("probe_", "zero_shot_", "ensemble_")  # how names of rows start, of which tables make titles
PERSON = "person"  # the view that needs annotated boxes, and the word that tells it in a row's name


def of_encoders(encoders: Iterable[str]) -> dict[str, Row]:
    """The rows that every encoder has, on the whole image; without a text tower zero-shot is left out in baselines."""
    rows: dict[str, Row] = {}
    for name in encoders:
        rows["zero_shot" if name == "clip" else f"zero_shot_{name}"] = ZeroShotRow(
            kind="zero_shot", backbone=name, views=["image"]
        )
        rows[f"probe_{name}"] = ProbeRow(kind="probe", backbone=name, views=["image"])
    return rows


def needs_boxes(row: Row, rows: Mapping[str, Row]) -> bool:
    """Whether a row, or a member of it among `rows`, sees persons by their annotated boxes."""
    if row.kind == "ensemble":
        return any(needs_boxes(rows[name], rows) for name in row.members if name in rows)
    return PERSON in row.views


def recommended(rows: Mapping[str, Mapping]) -> str:
    """Of rows, by name with their metrics or what was fitted, the one that `har predict` takes: the lowest log loss out
    of fold on train and validation, then the first name; empty where no row has that."""
    losses = {name: rows[name]["dev"]["log_loss"] for name in sorted(rows) if "dev" in rows[name]}
    return min(losses, key=losses.get, default="")


def check_rows(rows: Mapping[str, Row], backbones: Collection[str], others: Collection[str]) -> None:
    """ValueError, naming the key, for rows that do not fit the rest. others: what else an ensemble may hold."""
    for name, row in rows.items():
        start = f"{row.kind}_"
        if row.kind == "ensemble":
            members = [*others, *(key for key, one in rows.items() if one.kind != "ensemble")]
            check_known(f"rows.{name}.members", row.members, members)
        else:
            check_known(f"rows.{name}.backbone", [row.backbone], backbones)
            start += f"{row.backbone}_"
        if not name.startswith(start) or name == start:
            raise ValueError(f"rows.{name}: expected a name that starts with {start}, of which tables make the title")
        if needs_boxes(row, rows) != (PERSON in name.split("_")):
            raise ValueError(
                f"rows.{name}: a row that needs person boxes, and no other, has the word {PERSON} in its name, so that "
                "tables say so"
            )


def kept(rows: Mapping[str, Row], encoders: Collection[str], own: bool) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows that a run has, and of those that it leaves out the reason. own: images without person boxes."""
    found, left_out = {}, {}
    for name, row in sorted(rows.items(), key=lambda item: item[1].kind == "ensemble"):
        if own and needs_boxes(row, rows):
            left_out[name] = "it needs person boxes, which own images lack"
        elif row.kind == "ensemble":
            if lacking := [member for member in row.members if member in left_out]:
                left_out[name] = f"so is its member {lacking[0]}"
        elif row.backbone not in encoders:
            left_out[name] = f"run.encoders lacks {row.backbone}"
        if name not in left_out:
            found[name] = row
    return found, left_out


def views_of(rows: Iterable[Row], encoder: str) -> list[str]:
    """The views of `encoder` that `rows` see, the whole image first, which every study reads."""
    seen = [view for row in rows if row.kind != "ensemble" and row.backbone == encoder for view in row.views]
    return list(dict.fromkeys(["image", *seen]))
