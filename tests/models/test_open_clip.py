"""open_clip's models, tiny and in its own format: its own numbers come out, and of a hub's files safetensors alone."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import parameters
import pytest
import torch
from conftest import CAPTIONS, CLASSES, picture
from PIL import Image
from safetensors.torch import load_file, save_file
from servers import model_hub, serving
from test_backbone import config
from test_hub import NOWHERE, home  # noqa: F401

from har.config.profile import load_params
from har.core.errors import HarError
from har.models import backbone, classifier, open_clip
from har.models.encoder import Encoder
from har.models.preprocess import from_folder
from stages.check import check_fine_tuned

library = pytest.importorskip("open_clip")

# a tokenizer of words, as CLIP's own of 49,408 parts of words takes a second each time that it is read
TEXT = {
    "context_length": 16, "vocab_size": 40, "width": 16, "heads": 2, "layers": 2, "hf_tokenizer_name": "owner/words",
}  # fmt: skip
BYTE_PAIRS = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
CLIP = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}
TIMM = CLIP | {
    "vision_cfg": {"image_size": 32, "timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear"},
    "custom_text": True,
}
REPO, COMMIT = "laion/tiny", "1a25a446712ba5ee05982a381eed697ef9b435cf"


@pytest.fixture(scope="module")
def write(checkpoints):
    """A way to write a model of open_clip's in its own format, with random weights, none of them zero or one."""

    def written(folder: Path, settings: dict, **preprocess) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": settings, "preprocess_cfg": preprocess}))
        if "hf_tokenizer_name" in settings["text_cfg"]:
            for file in checkpoints["siglip2"].glob("*token*"):
                shutil.copy(file, folder)
        torch.manual_seed(7)
        model = library.create_model(f"local-dir:{folder}", pretrained_text=False)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            model.logit_scale.fill_(3.0)
        weights = {name: value.contiguous() for name, value in model.state_dict().items()}
        save_file(weights, folder / open_clip.WEIGHTS)
        return folder

    return written


@pytest.fixture(scope="module")
def written(write, tmp_path_factory):
    return write(tmp_path_factory.mktemp("clip"), CLIP, mean=[0.1, 0.2, 0.3])


@pytest.fixture
def folder(written, tmp_path):
    """CLIP in open_clip's format, for a test to spoil."""
    return Path(shutil.copytree(written, tmp_path / "theirs"))


@pytest.fixture
def names(monkeypatch):
    """Architectures by name that are tiny, and ViT-B-32 with tags at our repository; the first of these."""
    from open_clip import pretrained

    known = {"url": "", "hf_hub": f"{REPO}/", "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5), "resize_mode": "squash"}
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-B-32", {"tiny": known, "other": known})
    for name, settings in {"ViT-B-32": CLIP, "ViT-tiny": CLIP | {"quick_gelu": True}}.items():
        monkeypatch.setitem(library.factory._MODEL_CONFIGS, name, settings)
    return known


def door(model: str | Path, **changes):
    return config(source="open_clip", model=f"local-dir:{model}" if isinstance(model, Path) else model, **changes)


def provided(model, out: Path, **changes) -> Path:
    backbone.provide(door(model, **changes), out, pretrained=out.parent)
    return out


def agree(folder: Path, made: Path, texts: list[str] = CAPTIONS) -> None:
    """The encoder in `made` gives the features and the temperature of open_clip's model in `folder`."""
    pixels = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    model, _, _ = library.create_model_and_transforms(f"local-dir:{folder}")
    mean, std = (torch.tensor(model.visual.preprocess_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    tokens, encoder = library.get_tokenizer(f"local-dir:{folder}")(texts), Encoder(made)
    with torch.inference_mode():
        torch.testing.assert_close(encoder.images(pixels), model.eval().encode_image((pixels / 255 - mean) / std))
        torch.testing.assert_close(encoder.texts(texts), model.encode_text(tokens))
    assert encoder.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))


@pytest.mark.parametrize("settings", [CLIP, TIMM])
def test_embeddings_are_open_clips(write, tmp_path, settings):
    folder = write(tmp_path / "theirs", settings)
    made = provided(folder, tmp_path / "clip")
    agree(folder, made)
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(HarError, match="an encoder of open_clip's gives embeddings"):
        classifier.classifier(made, CLASSES)


def test_fine_tuning_is_refused_before_any_work(tmp_path):
    chosen = {"backbones.clip.source": "open_clip", "backbones.clip.model": "hf-hub:owner/name"}
    params = load_params(parameters.write(tmp_path, chosen))
    with pytest.raises(HarError, match=r"models\.clip\w* would fine-tune backbones\.clip, an encoder of open_clip's"):
        check_fine_tuned(params)


def test_pixels_are_those_of_open_clips_own_transform(write, tmp_path):
    """Where its sides come out whole; at others it rounds before it crops, half a pixel from the centre."""
    settings = {"resize_mode": "shortest", "interpolation": "bilinear", "mean": [0.1, 0.2, 0.3], "std": [0.9, 0.8, 0.7]}
    folder = write(tmp_path / "theirs", CLIP, **settings)
    _, _, transform = library.create_model_and_transforms(f"local-dir:{folder}")
    preprocess = from_folder(provided(folder, tmp_path / "clip"))
    for size in ((90, 60), (50, 75), (64, 64)):
        image = Image.fromarray(picture(3, *size))
        ours = preprocess.normalise(torch.from_numpy(preprocess.square(image))[None])[0]
        # two grey values more or less: it rounds once more, before it crops
        assert float((ours - transform(image)).abs().max()) < 2.01 / 255 / 0.7
        assert float((ours - transform(image)).abs().mean()) < 1e-3


def test_a_model_by_name_and_a_file(write, names, tmp_path, monkeypatch):
    folder = write(tmp_path / "theirs", CLIP | {"quick_gelu": True, "text_cfg": BYTE_PAIRS})
    monkeypatch.setitem(library.factory._MODEL_CONFIGS["ViT-tiny"], "text_cfg", BYTE_PAIRS)
    file = str(folder / open_clip.WEIGHTS)
    made = provided("ViT-tiny", tmp_path / "clip", pretrained=file)
    agree(folder, made, texts=["A dog,  a PERSON & it's walking!", "run " * 40])
    with pytest.raises(HarError, match=r"has sha256 [0-9a-f]{64}, expected 0000"):
        provided("ViT-tiny", tmp_path / "clip", pretrained=file, sha256="0" * 64)


@pytest.mark.parametrize(
    ("model", "pretrained", "told"),
    [
        ("vit-b32", "openai", "open_clip has no model 'vit-b32', the nearest are ViT-B-32"),
        ("ViT-B-32", "laion2b_s34b", "no pretrained 'laion2b_s34b', the nearest of its tags are laion2b_s34b_b79k"),
        ("ViT-B-32", "openai", "another activation; take model ViT-B-32-quickgelu"),
        ("hf-hub:../name@" + "0" * 40, "", "must be a name such as"),
        ("local-dir:nowhere", "", "nowhere: no such folder; expected a model's"),
        ("ViT-B-32", "nowhere.safetensors", r"nowhere\.safetensors: no such file"),
    ],
)
def test_a_wrong_name_ends_in_one_line(tmp_path, model, pretrained, told):
    with pytest.raises(HarError, match=told) as error:
        provided(model, tmp_path / "clip", pretrained=pretrained)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("text_cfg", {"hf_model_name": "roberta-base"}, "its text tower is 'roberta-base'"),
        ("vision_cfg", {"timm_model_name": "hf-hub:owner/evil"}, "no name of timm's own"),
        ("vision_cfg", {"width": 2**14}, "describes [0-9,]+ numbers, the weights hold"),
        ("vision_cfg", {"image_size": 10**6, "pos_embed_type": "sin_cos_2d"}, "image_size is 1000000"),
        ("vision_cfg", {"image_size": [32, 64]}, "size mismatch|preprocessing"),
        ("text_cfg", {"context_length": 10**7}, "context_length is 10000000"),
        ("text_cfg", {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "tokenizer_kwargs has 'bpe_path'"),
        ("text_cfg", {"hf_tokenizer_name": "owner/words"}, "tokenizer, 'owner/words', is not among its files"),
    ],
)
def test_a_configuration_that_asks_for_more_is_refused(folder, tmp_path, part, change, told):
    settings = CLIP | {part: CLIP[part] | change}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": settings}))
    if "not among its files" in told:
        for file in folder.glob("*token*"):
            file.unlink()
    refused(folder, tmp_path, told)


def refused(folder: Path, tmp_path: Path, told: str) -> None:
    with pytest.raises(HarError, match=told) as error:
        provided(folder, tmp_path / "clip")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    assert not (tmp_path / "clip").exists()


def test_damaged_files_are_refused(folder, tmp_path):
    path = folder / open_clip.WEIGHTS
    weights = load_file(path)
    save_file(weights | {"ln_final.bias": torch.full((16,), torch.nan)}, path)
    refused(folder, tmp_path, "ln_final.bias holds NaN")
    save_file(weights | {"visual.proj": torch.zeros(16, 32)}, path)
    refused(folder, tmp_path, "size mismatch for visual.proj")
    path.write_bytes(path.read_bytes()[:-10])
    refused(folder, tmp_path, "no whole safetensors file")
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    path.unlink()
    refused(folder, tmp_path, r"is missing \(only open_clip_pytorch_model.bin, which may run code\)")
    save_file(weights, path)
    (folder / "open_clip_config.json").write_text("{}")
    refused(folder, tmp_path, "has no model_cfg")


def hub(files):
    site = model_hub(REPO, COMMIT, files)
    about = json.dumps({"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": [], "private": False}).encode()
    for name in (f"/api/models/{REPO}", f"/api/models/{REPO}/revision/main"):
        site.files[name] = about
        site.headers[name] = {"Content-Type": "application/json; charset=utf-8"}
    return serving(site)


def files(folder, **more):
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"README.md": b"#"} | more


def test_a_repository(folder, tmp_path, monkeypatch, capsys):
    name = f"hf-hub:{REPO}"
    others = {"model.safetensors": b"transformers' own", "open_clip_pytorch_model.bin": b"pickle"}
    with hub(files(folder, **others)) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        agree(folder, provided(name, tmp_path / "clip"))
        asked = [one.path for one in site.requests]
        assert not any(name in path for path in asked for name in ("README", "pickle", "/model.safetensors", ".bin"))
        assert f"{REPO} is at {COMMIT}; add @{COMMIT}" in capsys.readouterr().out
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    provided(name, tmp_path / "clip")  # from the cache


def test_a_tag(folder, names, tmp_path, monkeypatch):
    """The architecture and the preprocessing are the library's, whatever the repository says."""
    theirs = b'{"model_cfg": {"embed_dim": 1}}'
    with hub(files(folder, **{"open_clip_config.json": theirs})) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        made = provided("ViT-B-32", tmp_path / "clip", pretrained=f"tiny@{COMMIT}")
    described = json.loads((made / "preprocessor_config.json").read_text())
    assert described["image_mean"] == [0.1, 0.2, 0.3]
    assert described["size"] == {"height": 32, "width": 32}
    whole = {"model_cfg": CLIP, "preprocess_cfg": {key: names[key] for key in ("mean", "std", "resize_mode")}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    agree(folder, made)
    assert next((tmp_path / "cache").rglob("open_clip_config.json")).read_bytes() == theirs


def test_a_repository_of_another_format_and_a_hub_that_is_away(tmp_path, monkeypatch):
    with hub({"config.json": b"{}", "model.safetensors": b""}) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        with pytest.raises(HarError, match=r"open_clip_config\.json is missing; expected a model in open_clip's"):
            provided(f"hf-hub:{REPO}@{COMMIT}", tmp_path / "clip")
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    huggingface_hub.constants.HF_HUB_CACHE = str(tmp_path / "other")
    with pytest.raises(HarError, match=r"cannot be fetched from http://127\.0\.0\.1:9 \([^\n]*\)$"):
        provided(f"hf-hub:{REPO}", tmp_path / "clip")
