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

from har.config.types import check_labels
from har.data.coco.annotations import ImageRecord, read_records
from har.data.manifest import EVIDENCE_COLUMNS, MANIFEST_COLUMNS
from har.core.errors import HarError

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


def curate(
    captions_json: str | Path,
    instances_json: str | Path,
    *,
    classes: Mapping[str, Mapping],
    person_words: Sequence[str],
    min_captions: int = 2,
    precedence: Sequence[str] = (),
    require_person: bool = True,
    extended: int | None = None,
    seed: int,
) -> Curation:
    """Label images by their captions, then draw `count` of each class.

    Args:
        classes: label -> {'keywords': words or phrases ('sits down'), 'count': images to draw, None for all}.
        person_words: words or phrases of which a caption must hold one to mention anything.
        min_captions: captions that must mention a class before it counts for the image.
        precedence: where several classes are mentioned, the first listed here wins; a tie without a listed class
            drops the image. Empty: exactly one class must be mentioned.
        require_person: drop images without any person annotation (a crowd counts).
        extended: at most so many of the images that satisfy the rule and were not drawn (None: all).
        seed: of both draws. An image's rank depends on the seed and its id alone: neither the order of
            rows nor further images change who precedes whom.

    Raises HarError for unusable arguments, for malformed annotation files (file and row) and where a class
    can't be filled (the shortfall of each).
    """
    _check_arguments(classes, person_words, min_captions, precedence, extended)
    records = read_records(captions_json, instances_json)
    person = _phrase_pattern("person_words", person_words)
    patterns = {k: _phrase_pattern(f"classes.{k}.keywords", c["keywords"]) for k, c in classes.items()}
    rules = [
        "images in the captions file",
        "a caption names a person and an activity",
        f"at least {min_captions} captions agree",
        f"one activity (precedence: {', '.join(precedence)})" if precedence else "exactly one activity",
        *(["a person is annotated"] if require_person else []),
    ]

    def passed(record: ImageRecord, mentions: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
        """The classes that hold for the image by each rule in turn, up to the last that keeps it."""
        yield ()
        captions = Counter(chain.from_iterable(mentions))
        for least in (1, min_captions):
            labels = [name for name in classes if captions[name] >= least]
            if not labels:
                return
            yield labels
        label = _decide(labels, precedence)
        if label is None:
            return
        yield [label]
        if require_person and len(record.boxes) + len(record.crowds):
            yield [label]

    funnel, chosen, mentioned = Funnel(list(classes), rules), {}, {}
    for record in records.values():
        mentions = [_mentions(caption, person, patterns) for caption in record.captions]
        kept = list(passed(record, mentions))
        for rule, labels in zip(rules, kept, strict=False):
            funnel.count(rule, labels)
        if len(kept) == len(rules):
            (chosen[record.image_id],) = kept[-1]
            mentioned[record.image_id] = mentions
    drawn = _draw(chosen, {label: c["count"] for label, c in classes.items()}, seed)
    left = [i for i in chosen if i not in drawn]
    extra = set(left if extended is None else ranked(left, seed, "extended")[:extended])
    for part, ids in (("drawn", drawn), ("extended", extra)):
        funnel.add(part, ([chosen[i]] for i in ids))

    manifest, evidence = [], []
    for image_id in sorted(drawn | extra):
        record, mentions, part = records[image_id], mentioned[image_id], "drawn" if image_id in drawn else "extended"
        manifest.append(_manifest_row(record, chosen[image_id], part, mentions))
        for k, (caption, labels) in enumerate(zip(record.captions, mentions, strict=True)):
            evidence.append((image_id, k, caption, "+".join(labels)))
    return Curation(
        pd.DataFrame(manifest, columns=list(MANIFEST_COLUMNS)).astype(MANIFEST_COLUMNS),
        pd.DataFrame(evidence, columns=list(EVIDENCE_COLUMNS)),
        funnel.frame(),
    )


def _check_arguments(classes, person_words, min_captions, precedence, extended) -> None:
    if not classes:
        raise HarError("classes: empty, expected at least one label with keywords and count")
    try:
        check_labels(classes)
    except ValueError as error:
        raise HarError(f"classes: {error}") from None
    owners: dict[tuple[str, ...], str] = {}
    for label, entry in classes.items():
        if "+" in label:  # which joins the classes that a caption mentions
            raise HarError(f"classes.{label}: a class that captions are searched for may not hold '+'")
        if not entry.get("keywords"):
            raise HarError(f"classes.{label}.keywords: empty, expected at least one word or phrase")
        if entry.get("count") is not None and not _whole(entry["count"], 1):
            raise HarError(f"classes.{label}.count: {entry.get('count')!r} is not a whole number above 0")
        for keyword in entry["keywords"]:
            owner = owners.setdefault(tuple(tokens(keyword)), label)
            if owner != label:
                raise HarError(f"classes.{label}.keywords: {keyword!r} already names {owner}")
    if not person_words:
        raise HarError("person_words: empty, expected at least one word")
    if not _whole(min_captions, 1):
        raise HarError(f"min_captions: {min_captions!r} is not a whole number above 0")
    if extended is not None and not _whole(extended, 0):
        raise HarError(f"extended: {extended!r} is not a whole number of 0 or more")
    for label in precedence:
        if label not in classes or list(precedence).count(label) > 1:
            raise HarError(f"precedence: {label!r} is listed twice or none of {', '.join(classes)}")


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


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


def _decide(labels: Sequence[str], precedence: Sequence[str]) -> str | None:
    if len(labels) == 1:
        return labels[0]
    return next((label for label in precedence if label in labels), None)


def ranked(ids: Iterable[int], seed: int, purpose: str) -> list[int]:
    """Image ids in a random order that is a function of seed, purpose and id, on every machine."""
    return sorted(ids, key=lambda i: (hashlib.sha256(f"{seed}/{purpose}/{i}".encode()).digest(), i))


def _draw(chosen: Mapping[int, str], counts: Mapping[str, int | None], seed: int) -> set[int]:
    drawn: set[int] = set()
    short = []
    for label, count in counts.items():
        ids = [i for i, other in chosen.items() if other == label]
        if count is not None and len(ids) < count:
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
        record.file_name,
        record.width,
        record.height,
        record.license,
        record.coco_url,
        record.flickr_url,
        len(record.boxes),
        round(record.person_area, 6),
        len(evidence),
        total,
        f"{label}: {len(evidence)} of {total} captions",
        json.dumps(evidence, ensure_ascii=False),
    )


class Funnel:
    """Counts what each rule keeps: images, and of them those of each class."""

    def __init__(self, labels: list[str], rules: Sequence[str] = ()):
        self.labels = labels
        self.rows: dict[str, Counter] = {}
        for rule in rules:
            self.add(rule)

    def add(self, rule: str, kept: Iterable[Sequence[str]] = ()) -> None:
        """A further rule. kept: the classes of each image that it keeps."""
        self.rows[rule] = Counter()
        for labels in kept:
            self.count(rule, labels)

    def count(self, rule: str, labels: Sequence[str]) -> None:
        """A further image of the classes `labels` that `rule` keeps."""
        row = self.rows[rule]
        for name in ("", *labels):  # '': all images
            row[name] += 1

    def frame(self) -> pd.DataFrame:
        rows = [[rule, *(counts[name] for name in ("", *self.labels))] for rule, counts in self.rows.items()]
        rows[0][2:] = [None] * len(self.labels)  # before captions are read there is no class to count
        columns = [f"images_{label}" for label in self.labels]  # a class may be called rule
        types = {"images": "int64", **dict.fromkeys(columns, "Int64")}
        return pd.DataFrame(rows, columns=["rule", "images", *columns]).astype(types)
