"""Pre-training the miniatures: repeatable, in the hub's format, and blind to the activity where it must be."""

import re
from itertools import chain

import numpy as np
import parameters
import pytest
import torch
from transformers import AutoModel

from har import synthetic
from har.config.models import Scenes
from har.models import miniature
from har.models.classifier import classifier
from har.models.encoder import Encoder
from har.training import pretrain

SCENES = Scenes(seed=2017, first_id=5_000_001, count=64, held_out=16)
NAMES = ["vit", "clip_silent", "siglip2"]  # one of each family, with and without activities
SIDE = 32 + pretrain.MARGIN


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The scenes, rendered once in this process: pretrain() finds them by everything they depend on."""
    folder = tmp_path_factory.mktemp("scenes")
    pretrain.scenes(SCENES, SIDE, folder, jobs=1)
    return folder


@pytest.fixture(scope="module")
def config(tiny):
    """Of each miniature: two steps of 16, with room for whole captions."""
    models = parameters.params().pretrain.models
    length = {"text_length": models["clip"].text_length}
    return {
        name: tiny.model_copy(update={"family": models[name].family, "activity": models[name].activity} | length)
        for name in NAMES
    }


@pytest.fixture(scope="module")
def trained(config, cache, tmp_path_factory):
    root = tmp_path_factory.mktemp("pretrained")
    logs = {name: pretrain.pretrain(name, config[name], SCENES, root / name, cache, threads=1) for name in NAMES}
    return root, logs


@pytest.mark.parametrize("name", NAMES)
class TestEachMiniature:
    def test_two_cycles_give_the_same_bytes_as_one_that_is_opened_and_gone_on_with(
        self, trained, config, cache, tmp_path, name
    ):
        config = config[name]
        twice = config.model_copy(update={"samples": [*config.samples, 16]})
        torch.manual_seed(77)  # what ran before must not matter
        log = pretrain.pretrain(name, twice, SCENES, tmp_path / "both", cache, threads=1)
        assert [row["samples"] for row in log] == [16, 32, 48]
        assert all(np.isfinite([row["loss"], row["held_out_loss"]]).all() for row in log)
        pretrain.write_log(log, tmp_path / "log.csv")
        assert (tmp_path / "log.csv").read_text().startswith("samples,loss,held_out_loss\n16,")

        images, captions, factors = pretrain.scenes(SCENES, SIDE, cache, 1)
        captions, names = [told[config.activity] for told in captions], pretrain.targets(config.activity)
        factors = factors[:, : len(names)]
        tokenizer = miniature.tokenizer(synthetic.vocabulary(), config.text_length)
        model = miniature.model(config.family, config, len(tokenizer), names)
        model = model.from_pretrained(trained[0] / name, dtype=torch.float32)
        losses = pretrain.losses(config.family, model, tokenizer, captions, factors, config.text_length)
        log = list(trained[1][name])
        pretrain.run_cycle(name, model, twice, 1, (images, factors, SCENES.held_out), losses, log)
        pretrain.save(model, tokenizer, config, tmp_path / "after")
        weights = tmp_path / "after/model.safetensors"
        for file in (trained[0] / name).iterdir():
            expected = weights if file.name == weights.name else file
            assert (tmp_path / "both" / file.name).read_bytes() == expected.read_bytes(), file.name

    def test_the_hubs_own_classes_open_it_in_full_precision(self, trained, name):
        folder = trained[0] / name
        assert {p.suffix for p in folder.iterdir()} == {".json", ".safetensors"}
        kind = {"vit": "ViT", "clip": "CLIP", "siglip2": "Siglip"}[name.split("_")[0]]
        assert type(AutoModel.from_pretrained(folder)).__name__ == f"{kind}Model"
        assert Encoder(folder).images(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).dtype == torch.float32
        assert {p.dtype for p in classifier(folder, ["a", "b"]).parameters()} == {torch.float32}


ACTIVITY = re.compile(r"walk|run|ran\b|jog|sit|sat\b|seat|stand|stood|activit|pose|postur|action")


def test_no_silent_caption_and_no_target_speaks_of_the_activity():
    for i in range(300):
        told = synthetic.captions(synthetic.sample_scene(11, i + 1), activity=False)
        assert len(told) == 5
        assert not [text for text in told if ACTIVITY.search(text.replace("sidewalk", ""))]
    targets = pretrain.targets(False)
    assert len(targets) == sum(synthetic.FACTORS.values()) == len(set(targets))
    assert not [name for name in targets if ACTIVITY.search(name)]


def test_scenes_are_those_of_their_ids_however_they_are_made(cache):
    images, captions, factors = pretrain.scenes(SCENES, SIDE, cache, jobs=1)
    for i in (0, 63):
        scene = synthetic.sample_scene(SCENES.seed, SCENES.first_id + i)
        np.testing.assert_array_equal(images[i], synthetic.render(scene, SIDE, SIDE))
        assert captions[i] == [synthetic.captions(scene, activity) for activity in (False, True)]
    start = 0
    for values in synthetic.FACTORS.values():  # one value of each factor holds
        assert (factors[:, start : start + values].sum(1) == 1).all()
        start += values
    doing = {p.activity for p in synthetic.sample_scene(SCENES.seed, SCENES.first_id).people if p.main}
    assert {name for name, shown in zip(synthetic.ACTIVITIES, factors[0, start:], strict=True) if shown} == doing


def test_the_scenes_of_pretraining_are_never_used_downstream():
    scenes = parameters.params().pretrain.scenes
    for profile in map(parameters.profile, parameters.SHIPPED):
        used = profile.data.world
        end = used.first_id + 2 * used.images  # scenes considered; some are left out
        apart = end <= scenes.first_id or scenes.first_id + scenes.count <= used.first_id
        assert apart or used.seed != scenes.seed


def test_crops_and_mirrors_keep_scenes_whole(cache):
    images = pretrain.scenes(SCENES, SIDE, cache, jobs=1)[0]
    rows = np.arange(6)
    centre = pretrain._pixels(images, rows, None, 32).permute(0, 2, 3, 1)
    np.testing.assert_allclose(centre, images[:6, 4:36, 4:36].astype(float) / 127.5 - 1, atol=1e-6)
    drawn = pretrain._pixels(images, rows, np.random.default_rng(0), 32)
    for image, pixels in zip(images[:6], drawn, strict=True):
        inside = np.rint((pixels.permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8)
        cuts = [image[t : t + 32, l : l + 32] for t in range(9) for l in range(9)]
        assert any(np.array_equal(inside, cut) or np.array_equal(inside[:, ::-1], cut) for cut in cuts)


def test_no_prompt_or_caption_has_an_unknown_word_or_is_cut():
    params = parameters.params()
    length = min(m.text_length for n, m in params.pretrain.models.items() if n != "vit")
    tokens = miniature.tokenizer(synthetic.vocabulary(), length)
    assert (tokens.eos_token_id, tokens.pad_token_id) == (len(tokens) - 1, 0)  # CLIP finds the end by it
    prompts = params.profiles["sample"].embed.prompts.values()
    captions = (synthetic.captions(synthetic.sample_scene(11, i + 1)) for i in range(100))
    for text in chain(*prompts, *captions):
        assert len(tokens(text)["input_ids"]) <= length, text
        assert tokens.unk_token_id not in tokens(text.removesuffix("."))["input_ids"], text  # "." is no word
