"""The benchmark: it counts what it says it counts, both sides are given the same, and the table says which is which."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import parameters
import pytest
from conftest import CLASSES, picture
from PIL import Image

from har.core.errors import HarError
from har.core.machine import without_marks
from har.dev.bench import __main__, comparisons, graph, measure, report, scaled, scaling, task
from har.dev.bench.report import Comparison

PROFILE = parameters.profile()
FASTER = Comparison("Tune", "`Trainer`", "s", "faster", [10.0, 20.0, 11.0], [40.0, 60.0, 55.0], (1_500_000_000, 10**9))
RATE = Comparison("Embed", "forward", "images/s", "share", [90.0, 80.0], [100.0, 100.0])
LONGER = Comparison("`dvc repro`", "empty", "s", "longer", [3.0], [2.0])


class TestMeasure:
    def test_memory_is_that_of_the_command_and_its_children(self, tmp_path):
        child = "import time; x = b'x' * 150_000_000; time.sleep(1.5)"
        command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
        spent = measure.run([sys.executable, "-c", command], tmp_path)
        assert 150e6 < spent.bytes < 300e6
        assert spent.seconds >= 1.5

    def test_a_failing_command_tells_its_last_line(self, tmp_path):
        with pytest.raises(HarError, match=r"failed with exit code 1, and said last: ValueError: no$"):
            measure.run([sys.executable, "-c", "raise ValueError('no')"], tmp_path)

    def test_commands_see_this_har(self, tmp_path):
        measure.run([sys.executable, "-c", "import har; print(har.__file__)"], tmp_path)
        assert (tmp_path / "bench.log").read_text().strip() == str(Path("har/__init__.py").resolve())


class TestRounds:
    def test_all_are_done_where_there_is_time(self):
        assert list(measure.rounds(3)) == [0, 1, 2]

    def test_one_is_done_in_any_case(self):
        assert list(measure.rounds(3, deadline=0)) == [0]

    def test_none_starts_that_would_end_too_late(self, monkeypatch):
        clock = iter([0, 10, 10, 25, 25])  # rounds of 10 and 15 seconds; a third would end at 40
        monkeypatch.setattr(measure.time, "monotonic", lambda: next(clock))
        assert list(measure.rounds(5, deadline=39)) == [0, 1]

    def test_as_many_as_needed_are_done_in_any_case(self):
        assert list(measure.rounds(5, deadline=0, least=3)) == [0, 1, 2]

    def test_every_part_has_its_time(self):
        assert set(__main__.PARTS) == set(comparisons.SECTIONS)
        ends = [end for _, _, end in __main__.PARTS.values()]
        assert ends == sorted(ends)
        assert ends[-1] <= 1


class TestReport:
    def test_a_ratio_is_of_the_same_repeat(self):
        assert FASTER.ratios.tolist() == [4, 3, 5]
        assert RATE.ratios.tolist() == [0.9, 0.8]
        assert LONGER.ratios.tolist() == [1.5]

    def test_the_table_shows_medians_and_the_spread_of_ratios(self):
        shown = report.table([FASTER, RATE, LONGER])
        assert shown["Ours"].tolist() == ["11 s", "85 images/s", "3 s"]
        assert shown["Its"].tolist() == ["55 s", "100 images/s", "2 s"]
        assert shown["Ours is"].tolist() == [
            "4.00 × as fast [3.00, 5.00]", "85 % of it [80, 90]", "1.50 × as long [1.50, 1.50]",
        ]  # fmt: skip
        assert shown.iloc[:, -1].tolist() == ["1.5 GB / 1.0 GB", "–", "–"]

    @pytest.mark.parametrize(
        ("told", "name"),
        [
            ("Intel(R) Xeon(R) Processor @ 2.80GHz", "intel-xeon-2-cores"),
            ("AMD EPYC 7B13 64-Core Processor", "amd-epyc-7b13-64-core-2-cores"),
            ("Apple M2 Pro", "apple-m2-pro-2-cores"),
        ],
    )
    def test_files_are_named_by_the_hardware(self, told, name, monkeypatch, tmp_path):
        monkeypatch.setattr(report, "processor", lambda: without_marks(told))
        monkeypatch.setattr(report.joblib, "cpu_count", lambda: 2)
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        assert report.write([FASTER], ["A note."], tmp_path) == tmp_path / f"{name}.md"
        text = (tmp_path / f"{name}.md").read_text()
        assert "4.00 × as fast [3.00, 5.00]" in text
        assert text.endswith("\n- A note.\n")
        kept = pd.read_csv(tmp_path / f"{name}.csv")
        assert kept[["repeat", "ours", "other"]].to_numpy().tolist() == [[1, 10, 40], [2, 20, 60], [3, 11, 55]]

    def test_this_machine_has_a_name(self):
        assert report.hardware().strip()


class TestScaling:
    def test_the_table_tells_time_and_memory_of_each_stage(self):
        spent = {(part, size): measure.Spent(size / 10, 10**8 + size) for part in scaling.STAGES for size in (20, 200)}
        shown = scaling.table(spent)
        assert shown.iloc[:, 0].tolist() == ["20", "200"]
        assert shown["curate"].tolist() == ["2 s, 100 MB", "20 s, 100 MB"]
        assert scaling.growth(
            spent
        ) == "From 20 to 200 images (10 ×), time and memory grow: curate 10 × and 1.0 ×, " + (
            "embed 10 × and 1.0 ×, significance 10 × and 1.0 ×, page 10 × and 1.0 ×."
        )

    def test_copies_are_the_scenes_again_under_ids_of_their_own(self, tmp_path):
        images = [{"id": i, "file_name": f"{i}.jpg", "width": 9} for i in (5, 7, 8)]
        rows = [{"id": n, "image_id": i, "caption": str(i)} for n, i in enumerate((5, 7, 7, 8))]
        scaled.copied({"info": {}, "images": images, "annotations": rows}, [7, 5], 5, tmp_path / "c.json")
        found = json.loads((tmp_path / "c.json").read_text())
        assert [one["id"] for one in found["images"]] == [1, 2, 3, 4, 5]
        assert [(one["id"], one["image_id"], one["caption"]) for one in found["annotations"]] == [
            (1, 1, "7"), (2, 1, "7"), (3, 2, "5"), (4, 3, "7"), (5, 3, "7"), (6, 4, "5"), (7, 5, "7"), (8, 5, "7"),
        ]  # fmt: skip

    @pytest.mark.slow
    def test_all_stages_run(self, tmp_path):
        spent = scaling.measured([285], tmp_path)
        assert set(spent) == {(part, 285) for part in scaling.STAGES}
        assert min(one.bytes for one in spent.values()) > 10e6


class TestGraph:
    def test_an_out_is_made_as_others_ask_for_it(self):
        deps = {"data/code/a.txt", "data/code/b.txt", "data/${profile}/x/clip"}
        assert graph.written("data/code", deps) == [
            "mkdir -p data/code", "echo > data/code/a.txt", "echo > data/code/b.txt",
        ]  # fmt: skip
        assert graph.written("data/${profile}/p/${key}.csv", deps)[-1] == "echo > data/${profile}/p/${key}.csv"
        assert (
            graph.written("data/${profile}/e/${item.name}", deps)[-1] == "echo > data/${profile}/e/${item.name}/one.txt"
        )

    @pytest.mark.slow
    def test_the_hollow_graph_runs_through_and_then_has_nothing_to_do(self, tmp_path):
        from dvc.repo import Repo

        count = graph.hollow(Path.cwd(), tmp_path / "ours")
        with Repo() as repo:
            assert count == len(repo.index.stages)
        graph.empty(tmp_path / "empty", count)
        for name in ("ours", "empty"):
            for arguments in (["init", "--no-scm"], ["repro"], ["status"]):
                measure.run([sys.executable, "-m", "dvc", *arguments], tmp_path / name)
            assert "up to date" in (tmp_path / name / "bench.log").read_text()


@pytest.fixture
def given(checkpoints, tmp_path):
    """30 photographs of which 8 train and 3 validate, and the tiny CLIP."""
    rows = []
    for i in range(30):
        file = tmp_path / "photos" / CLASSES[i % 3] / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(i, 50, 40)).save(file)
        rows.append(file)
    classes = {name: PROFILE.curate.classes["sitting"].model_copy(update={"count": 10}) for name in CLASSES}
    share = {"train": 0.6, "validation": 0.2, "test": 0.2}
    profile = PROFILE.model_copy(
        update={
            "curate": PROFILE.curate.model_copy(update={"classes": classes}),
            "split": PROFILE.split.model_copy(update=share),
            "training": PROFILE.training.model_copy(update={"seeds": [0, 1], "device": "cpu"}),
            "report": PROFILE.report.model_copy(update={"resamples": 100}),
        }
    )
    return tmp_path, task.make(tmp_path, profile, "clip", checkpoints["clip"], task.found(tmp_path / "photos"), 2)


class TestWork:
    def test_what_is_made_is_read(self, given):
        folder, made = given
        read, images = task.read(folder)
        assert read == made
        assert images.split.value_counts().to_dict() == {"train": 18, "validation": 6, "test": 6}
        assert all(Path(file).parent.name == label for file, label in zip(images.file, images.label, strict=True))
        assert (read.model.head, read.model.head_learning_rate) == ("random", read.model.learning_rate)

    def test_too_few_photographs_are_told(self, tmp_path, checkpoints):
        images = pd.DataFrame({"image_id": range(9), "label": CLASSES * 3, "file": "x.jpg"})
        with pytest.raises(HarError, match="9 images, expected over 256"):
            task.make(tmp_path, PROFILE, "clip", checkpoints["clip"], images, 2)

    def test_scenes_are_labelled_by_what_their_people_do(self, tmp_path):
        images = task.drawn(tmp_path / "images", PROFILE, 6, 1)
        assert len(images) == 6
        assert set(images.label) <= set(PROFILE.tasks["activity"])
        assert all(Image.open(file).format == "JPEG" for file in images.file)


@pytest.mark.slow
class TestSections:
    def test_both_sides_train_and_tell_the_same_images(self, given):
        folder, _ = given
        (row,), (note,) = comparisons.training(folder, range(2), 2, None)
        told = pd.read_parquet(folder / "ours.parquet")
        assert told.groupby("seed").size().tolist() == [12, 12]
        shares = np.load(folder / "trainer-1.npy")
        assert shares.shape == (12, 3)
        np.testing.assert_allclose(shares.sum(1), 1)
        assert min(row.ours + row.other) > 0
        assert min(row.bytes) > 100e6
        assert "18 images" in note
        assert "(seeds 0, 1)" in note
        assert "Accuracy on 6 images" in note

    def test_ours_and_the_plain_loop_embed_alike(self, given, checkpoints):
        folder, _ = given
        rows, (note,) = comparisons.embeddings(folder, range(1), 2, checkpoints["clip"])
        assert [row.said for row in rows] == ["faster", "share", "share"]
        assert float(note.rsplit(" ", 1)[1].rstrip(".")) > 0.99
        assert set(json.loads((folder / "ours.json").read_text())) == {"images_per_second"}

    def test_elsewhere_it_says_so_in_one_line(self, tmp_path):
        parameters.write(tmp_path)
        done = subprocess.run([sys.executable, "-m", "har.dev.bench"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("bench: no dvc.yaml here")
