import av
import numpy as np

from har.synthetic import ACTIVITIES, sample_scene
from har.synthetic.clips import FIRST_ID, FRAMES, RATE, draw_clips, moment
from har.synthetic.scene import activity


def decoded(path) -> np.ndarray:
    with av.open(str(path)) as clip:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]).astype(int)


def test_clips_lie_as_ucf_has_them_and_their_frames_are_the_same_again(tmp_path):
    files = draw_clips(tmp_path / "a", seed=7, groups=1, clips=2)
    names = [f"{doing}/v_{doing}_g01_c{clip:02d}.avi" for doing in ACTIVITIES for clip in (1, 2)]
    assert [path.relative_to(tmp_path / "a").as_posix() for path in files] == names
    again = draw_clips(tmp_path / "b", seed=7, groups=1, clips=1, jobs=2)
    for one, other in zip(files[::2], again, strict=True):
        frames = decoded(one)
        assert frames.shape[0] == FRAMES
        assert min(frames.shape[1:3]) == 128
        assert (frames == decoded(other)).all()
    with av.open(str(files[0])) as clip:
        stream = clip.streams.video[0]
        assert (clip.format.name, stream.codec_context.name, stream.average_rate) == ("avi", "mpeg4", RATE)
    first, second = (decoded(path) for path in files[:2])
    assert np.abs(first[0] - first[-1]).mean() > 1  # somebody walks
    assert (first != second).any()


def test_people_move_as_they_do_and_stay_who_they_are():
    found = {}
    for image_id in range(FIRST_ID, FIRST_ID + 60):
        found.setdefault(activity(sample_scene(7, image_id)), sample_scene(7, image_id))
    for doing in ACTIVITIES:
        scene = found[doing]
        start, later = moment(scene, 1, 0.0), moment(scene, 1, 1.0)
        assert start == moment(scene, 1, 0.0)
        assert start.people != later.people
        assert [p.top for p in start.people] == [p.top for p in later.people] == [p.top for p in scene.people]
        main = [(a, b) for a, b in zip(start.people, later.people, strict=True) if a.main and a.activity == doing]
        assert all(((a.x, a.y) != (b.x, b.y)) == (doing == "walking_running") for a, b in main)
