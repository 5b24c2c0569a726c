"""From captions to a labelled subset: which images show exactly one of the activities?

The paper never says how its labels were made. The rule here reproduces its counts and its image sizes: a
caption *mentions* a class if it holds a person word and one of the class's keywords; a class is mentioned in an
image if at least `min_captions` of its captions mention it; the image must have exactly one such class and an
annotated person. Without the person word most "sitting" images show animals and objects.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from har.config.data import ActivityClass, Curate
from har.core.errors import HarError
from har.data.coco.annotations import IMAGE, ImageRecord, read_records
from har.data.manifest import EVIDENCE_COLUMNS, MANIFEST_COLUMNS

# Words of letters and digits; an apostrophe stays inside, so that "the man's hat" names no person.
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True)
class Curation:
    """What `curate` found.

    Attributes:
        manifest: one row per selected image (har.data.manifest.MANIFEST_COLUMNS), sorted by image_id.
        evidence: one row per caption of a selected image: image_id, caption_index, caption, mentions (the classes it
            mentions, joined by '+', '' for none).
        funnel: rules in the order they apply: rule, images (kept so far), images_<class> for each class. A count is
            of images that mention the class, so that classes overlap until the rule that forbids it.
    """

    manifest: pd.DataFrame
    evidence: pd.DataFrame
    funnel: pd.DataFrame


def tokens(text: str) -> list[str]:
    """Lower-case words of `text`; punctuation and hyphens separate."""
    return _WORD.findall(text.casefold())


def curate(captions_json: str | Path, instances_json: str | Path, settings: Curate) -> Curation:
    """Label images by their captions, then draw `count` of each class.

    Of the block `curate` of params.yaml, what the captions of an image are asked:

    classes: their keywords are words or phrases ('sits down').
    person_words: of these a caption must hold one to mention anything.
    min_captions: captions that must mention a class before it counts for the image.
    precedence: where several classes are mentioned, the first listed here wins; a tie without a listed class drops
        the image. Empty: exactly one class must be mentioned.
    require_person: drop images without any person annotation (a crowd counts).
    extended: at most so many of the images that satisfy the rule and were not drawn.
    seed: of both draws. An image's rank depends on the seed and its id alone: neither the order of rows nor further
        images change who precedes whom.

    Raises HarError for keywords that are none or name two classes, for malformed annotation files (file and row) and
    where a class can't be filled (the shortfall of each).
    """
    classes, precedence = settings.classes, settings.precedence
    _check_keywords(classes)
    records = read_records(captions_json, instances_json)
    person = _phrase_pattern("person_words", settings.person_words)
    patterns = {k: _phrase_pattern(f"classes.{k}.keywords", c.keywords) for k, c in classes.items()}
    rules = [
        "images in the captions file",
        "a caption names a person and an activity",
        f"at least {settings.min_captions} captions agree",
        f"one activity (precedence: {', '.join(precedence)})" if precedence else "exactly one activity",
        *(["a person is annotated"] if settings.require_person else []),
    ]

    def mentions(record: ImageRecord) -> list[tuple[str, ...]]:
        return [_mentions(caption, person, patterns) for caption in record.captions]

    def passed(record: ImageRecord) -> Iterator[Sequence[str]]:
        """The classes that hold for the image by each rule in turn, up to the last that keeps it."""
        yield ()
        captions = Counter(chain.from_iterable(mentions(record)))
        for least in (1, settings.min_captions):
            labels = [name for name in classes if captions[name] >= least]
            if not labels:
                return
            yield labels
        if len(labels) > 1:
            labels = [name for name in precedence if name in labels][:1]
        if not labels:
            return
        yield labels
        if settings.require_person and len(record.boxes) + len(record.crowds):
            yield labels

    kept: dict[str, dict[int, Sequence[str]]] = {rule: {} for rule in rules}
    for record in records.values():
        for rule, labels in zip(rules, passed(record), strict=False):
            kept[rule][record.image_id] = labels
    chosen = {i: label for i, (label,) in kept[rules[-1]].items()}
    drawn = _draw(chosen, {label: c.count for label, c in classes.items()}, settings.seed)
    left = [i for i in chosen if i not in drawn]
    extra = set(ranked(left, settings.seed, "extended")[: settings.extended])
    for part, ids in (("drawn", drawn), ("extended", extra)):
        kept[part] = {i: [chosen[i]] for i in ids}

    manifest, evidence = [], []
    for image_id in sorted(drawn | extra):
        record, part = records[image_id], "drawn" if image_id in drawn else "extended"
        mentioned = mentions(record)
        manifest.append(_manifest_row(record, chosen[image_id], part, mentioned))
        for k, (caption, labels) in enumerate(zip(record.captions, mentioned, strict=True)):
            evidence.append((image_id, k, caption, "+".join(labels)))
    return Curation(
        pd.DataFrame(manifest, columns=list(MANIFEST_COLUMNS)).astype(MANIFEST_COLUMNS),
        pd.DataFrame(evidence, columns=list(EVIDENCE_COLUMNS)),
        funnel(kept, list(classes)),
    )


def _check_keywords(classes: Mapping[str, ActivityClass]) -> None:
    owners: dict[tuple[str, ...], str] = {}
    for label, entry in classes.items():
        if "+" in label:  # which joins the classes that a caption mentions
            raise HarError(f"classes.{label}: a class that captions are searched for may not hold '+'")
        for keyword in entry.keywords:
            owner = owners.setdefault(tuple(tokens(keyword)), label)
            if owner != label:
                raise HarError(f"classes.{label}.keywords: {keyword!r} already names {owner}")


def _phrase_pattern(key: str, phrases: Iterable[str]) -> re.Pattern:
    """Matches any of the phrases, as whole words, in text that was tokenised and joined by spaces."""
    alternatives = []
    for phrase in phrases:
        words = tokens(phrase)
        if not words:
            raise HarError(f"{key}: {phrase!r} holds no word")
        alternatives.append(re.escape(" ".join(words)))
    return re.compile(rf"(?<!\S)(?:{'|'.join(alternatives)})(?!\S)")


def _mentions(caption: str, person: re.Pattern, patterns: Mapping[str, re.Pattern]) -> tuple[str, ...]:
    text = " ".join(tokens(caption))
    if not person.search(text):
        return ()
    return tuple(label for label, pattern in patterns.items() if pattern.search(text))


def ranked(ids: Iterable[int], seed: int, purpose: str) -> list[int]:
    """Image ids in a random order that is a function of seed, purpose and id, on every machine."""
    return sorted(ids, key=lambda i: (hashlib.sha256(f"{seed}/{purpose}/{i}".encode()).digest(), i))


def _draw(chosen: Mapping[int, str], counts: Mapping[str, int], seed: int) -> set[int]:
    drawn: set[int] = set()
    short = []
    for label, count in counts.items():
        ids = [i for i, other in chosen.items() if other == label]
        if len(ids) < count:
            short.append(f"{label} has {len(ids)} of {count} ({count - len(ids)} short)")
        drawn.update(ranked(ids, seed, label)[:count])
    if short:
        raise HarError(f"captions do not fill every class: {'; '.join(short)}; relax the rule or lower count")
    return drawn


def _manifest_row(record: ImageRecord, label: str, part: str, mentioned: Sequence[Sequence[str]]) -> tuple:
    evidence = [caption for caption, f in zip(record.captions, mentioned, strict=True) if label in f]
    total = len(record.captions)
    return (
        record.image_id,
        label,
        part,
        *(getattr(record, key) for key in IMAGE),
        len(record.boxes),
        round(record.person_area, 6),
        len(evidence),
        total,
        f"{label}: {len(evidence)} of {total} captions",
        json.dumps(evidence, ensure_ascii=False),
    )


def funnel(kept: Mapping[str, Mapping[int, Sequence[str]]], classes: Sequence[str]) -> pd.DataFrame:
    """What each rule keeps, as `Curation.funnel`. kept: by rule, the classes of each image that it keeps."""
    rows = []
    for rule, images in kept.items():
        counts = Counter(chain.from_iterable(images.values()))
        rows.append([rule, len(images), *(counts[name] for name in classes)])
    rows[0][2:] = [None] * len(classes)  # before captions are read there is no class to count
    columns = [f"images_{label}" for label in classes]  # a class may be called rule
    types = {"images": "int64", **dict.fromkeys(columns, "Int64")}
    return pd.DataFrame(rows, columns=["rule", "images", *columns]).astype(types)
