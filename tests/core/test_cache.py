"""What is finished of an interrupted stage is not done again. Damaged results: tests/harness/test_fuzz_files.py."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import delayed

from har.core import cache
from har.core.cache import kept_calls

calls: list[float] = []
x = np.arange(6.0).reshape(2, 3)


@dataclass(frozen=True)
class Settings:
    folder: Path
    weights: np.ndarray


class Interrupted(Exception):
    pass


def unit(values, factor: int = 1, *more) -> pd.DataFrame:
    calls.append(factor)
    if factor == 0:
        raise Interrupted
    return pd.DataFrame({"value": np.asarray(values).sum(0) * factor, "label": ["sitting", "stehend ü", None]})


def in_turn(work, keep: Path) -> list:
    """What `work` gives, one call after the other; `calls` holds those that were made."""
    calls.clear()
    return [call(*args, **options) for call, args, options in kept_calls(work, keep)[0]]


def test_what_is_finished_is_not_done_again(tmp_path):
    work = [delayed(unit)(x, factor) for factor in (1, 2, 0)]
    for _ in range(2):
        with pytest.raises(Interrupted):
            in_turn(work, tmp_path)
    assert calls == [0]
    again = in_turn(work[:2], tmp_path)
    assert not calls
    pd.testing.assert_frame_equal(again[1], unit(x, 2), check_exact=True)


def test_whatever_decides_the_result_decides_its_place(tmp_path, monkeypatch):
    """And what lies there from before the change is removed."""
    folder = tmp_path / "backbone"
    folder.mkdir()
    (folder / "weights").write_text("1")

    def changed(array=x, factor=1, frame=(1, 2), given=None):
        settings = Settings(folder, np.ones(2)) if given is None else given
        more = pd.DataFrame({"image_id": frame, "label": ["sitting", "nan"]}), {"a": settings}
        in_turn([delayed(unit)(array, factor, *more)], tmp_path / "keep")
        assert len(list((tmp_path / "keep").iterdir())) == 1
        return bool(calls)

    assert changed()
    assert not changed(x.copy())  # equal is the same
    assert changed(x + 0.001)
    assert changed(x.astype(np.float32))
    assert changed(factor=2)
    assert changed(factor=2, frame=(1, 3))
    assert changed(factor=2, given=Settings(folder, np.zeros(2)))
    assert changed(factor=2)
    (folder / "weights").write_text("2")
    assert changed(factor=2)
    (folder / "more").write_text("")
    assert changed(factor=2)
    assert not changed(factor=2)
    monkeypatch.setattr(cache.importlib.metadata, "version", lambda name: "0")
    assert changed(factor=2)
    monkeypatch.setattr(cache, "PACKAGE", tmp_path / "har")
    (tmp_path / "har/core").mkdir(parents=True)
    for source, made in [("a = 1", True), ("a = 1", False), ("a = 2", True)]:
        (tmp_path / "har/core/module.py").write_text(source)
        assert changed(factor=2) == made
