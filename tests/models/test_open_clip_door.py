"""open_clip's models, tiny and in its own format: whatever the architecture, its own numbers come out of the door, and
of a hub's files safetensors alone, at a commit."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from conftest import CAPTIONS, CLASSES, picture
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.special import softmax
from servers import model_hub, serving
from test_backbone import config
from test_hub import NOWHERE, home  # noqa: F401

from har.core.errors import HarError
from har.models import backbone, classifier, open_clip_door
from har.models.encoder import Encoder
from har.models.preprocess import from_folder

library = pytest.importorskip("open_clip")
timm = pytest.importorskip("timm")

# a tokenizer of words, as CLIP's own of 49,408 parts of words takes a second each time that it is read
TEXT = {
    "context_length": 16, "vocab_size": 40, "width": 16, "heads": 2, "layers": 2, "hf_tokenizer_name": "owner/words",
}  # fmt: skip
BYTE_PAIRS = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
CLIP = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}
SIGLIP_TEXT = {
    "context_length": 12, "vocab_size": 40, "width": 32, "heads": 2, "layers": 2, "no_causal_mask": True,
    "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"},
    "hf_tokenizer_name": "owner/words", "tokenizer_kwargs": {"clean": "canonicalize"},
}  # fmt: skip
SIGLIP = {
    "embed_dim": 32, "init_logit_bias": -10, "custom_text": True, "text_cfg": SIGLIP_TEXT,
    "vision_cfg": {"image_size": 32, "timm_model_name": "har_tiny_siglip", "timm_pool": "map", "timm_proj": "none"},
}  # fmt: skip
COCA = CLIP | {
    "vision_cfg": VISION | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
    "text_cfg": TEXT | {"embed_cls": True, "output_tokens": True},
    "multimodal_cfg": TEXT | {"attn_pooler_heads": 2},
    "custom_text": True,
}
END = 14  # the tokenizer's largest number
TWINS = {
    "clip": CLIP,
    "quickgelu": CLIP | {"quick_gelu": True},
    "byte pairs": CLIP | {"text_cfg": BYTE_PAIRS},
    "custom text": CLIP | {"custom_text": True},
    "bias of the logits": CLIP | {"init_logit_bias": -10.0, "nonscalar_logit_scale": True},
    "norm after pooling": CLIP | {"vision_cfg": VISION | {"final_ln_after_pool": True}},
    "eos": CLIP | {"text_cfg": TEXT | {"pool_type": "eos", "eos_id": END}},
    "siglip": SIGLIP,
}
RESNET = CLIP | {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}}
ALONE = {
    "resnet": RESNET,
    "timm": CLIP | {
        "vision_cfg": {"image_size": 32, "timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear"},
        "custom_text": True,
    },
    "coca": COCA,
    "mean of patches": CLIP | {"vision_cfg": VISION | {"pool_type": "avg", "no_ln_pre": True}},
    "layer scale": CLIP | {"vision_cfg": VISION | {"ls_init_value": 0.1}},
    "norms of queries": CLIP | {"vision_cfg": VISION | {"qk_norm": True}},
    "text without a mask": CLIP | {"text_cfg": TEXT | {"no_causal_mask": True}},
    "eos 2": CLIP | {"text_cfg": TEXT | {"pool_type": "eos", "eos_id": 2}},
}  # fmt: skip
REPO, COMMIT = "laion/tiny", "1a25a446712ba5ee05982a381eed697ef9b435cf"


@timm.models.register_model
def har_tiny_siglip(pretrained=False, **options):
    size = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "class_token": False}
    return timm.models.VisionTransformer(**size, global_pool="map", act_layer="gelu_tanh", **{
        key: value for key, value in options.items() if key in ("num_classes",)
    })  # fmt: skip


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
                parameter.nan_to_num_(0, 0, 0)  # CoCa leaves one of its tensors as memory was
                parameter.add_(0.05 * torch.randn_like(parameter))
            model.logit_scale.fill_(3.0)
        weights = {name: value.contiguous() for name, value in model.state_dict().items()}
        save_file(weights, folder / open_clip_door.WEIGHTS)
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
    quick = CLIP | {"quick_gelu": True}
    for name, settings in {
        "ViT-B-32": CLIP,
        "RN50-quickgelu": RESNET | {"quick_gelu": True},
        "ViT-tiny": quick,
    }.items():
        monkeypatch.setitem(library.factory._MODEL_CONFIGS, name, settings)
    return known


def slow(names, quick):
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


def door(model: str | Path, **changes):
    return config(source="open_clip", model=f"local-dir:{model}" if isinstance(model, Path) else model, **changes)


def provided(model, out: Path, **changes) -> Path:
    backbone.provide(door(model, **changes), out, pretrained=out.parent)
    return out


def theirs(folder: Path, pixels: torch.Tensor, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.nn.Module]:
    """open_clip's own features of the pixels and texts."""
    model, _, _ = library.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    settings = model.visual.preprocess_cfg
    mean, std = (torch.tensor(settings[key]).view(3, 1, 1) for key in ("mean", "std"))
    tokens = library.get_tokenizer(f"local-dir:{folder}")(texts)
    with torch.inference_mode():
        images = model.encode_image((pixels / 255 - mean) / std, normalize=False)
        return images, model.encode_text(tokens, normalize=False), model


def agree(folder: Path, made: Path, size: int = 32, texts: list[str] = CAPTIONS) -> None:
    """The encoder in `made` gives open_clip's features to 1e-4 and its probabilities to 1e-3."""
    pixels = torch.randint(0, 256, (3, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    *expected, model = theirs(folder, pixels, texts)
    encoder = Encoder(made)
    found = [encoder.images(pixels), encoder.texts(texts)]
    for ours, their in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, their, atol=1e-4, rtol=1e-4)
    unit = [x / x.norm(dim=-1, keepdim=True) for x in (*expected, *found)]
    scale = float(model.logit_scale.detach().exp())
    expected = softmax((scale * unit[0] @ unit[1].T).numpy(), axis=1)
    found = softmax((encoder.logit_scale * unit[2] @ unit[3].T).numpy(), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("name", slow(TWINS, ("clip", "quickgelu", "siglip")))
def test_what_transformers_has_becomes_its_checkpoint(write, tmp_path, name):
    folder = write(tmp_path / "theirs", TWINS[name])
    made = provided(folder, tmp_path / "clip")
    agree(folder, made)
    settings = json.loads((made / "config.json").read_text())
    assert settings["model_type"] == ("siglip" if name == "siglip" else "clip")
    activation = {"quickgelu": "quick_gelu", "siglip": "gelu_pytorch_tanh"}.get(name, "gelu")
    assert settings["vision_config"]["hidden_act"] == settings["text_config"]["hidden_act"] == activation
    assert classifier.classifier(made, CLASSES).config.num_labels == 3
    assert not list(tmp_path.glob(".*"))
    if name in ("clip", "siglip"):  # the same weights by the door of the hub's format
        backbone.provide(config(source="folder", folder=str(made)), tmp_path / "again", pretrained=tmp_path)
        agree(folder, tmp_path / "again")


@pytest.mark.parametrize("name", slow(ALONE, ("resnet", "timm", "coca")))
def test_what_transformers_lacks_gives_open_clips_embeddings(write, tmp_path, name):
    folder = write(tmp_path / "theirs", ALONE[name])
    made = provided(folder, tmp_path / "clip")
    agree(folder, made, 64 if name == "resnet" else 32)
    assert Encoder(made).has_text
    for pick in (classifier.classifier, lambda folder, classes: classifier.finetuned(folder)):
        with pytest.raises(HarError, match=r"open_clip|no model\.safetensors"):
            pick(made, CLASSES)


@pytest.mark.parametrize(("mode", "way"), [("shortest", "bicubic"), ("squash", "bilinear")])
def test_pixels_are_those_of_open_clips_own_transform(write, tmp_path, mode, way):
    """Where its sides come out whole; at others it rounds before it crops, half a pixel from the centre."""
    given = {"resize_mode": mode, "interpolation": way, "mean": [0.1, 0.2, 0.3], "std": [0.9, 0.8, 0.7]}
    folder = write(tmp_path / "theirs", CLIP, **given)
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
    file = str(folder / open_clip_door.WEIGHTS)
    made = provided("ViT-tiny", tmp_path / "clip", pretrained=file)
    agree(folder, made, texts=["A dog,  a PERSON & it's walking!", "run " * 40])
    with pytest.raises(HarError, match=r"has sha256 [0-9a-f]{64}, expected 0000"):
        provided("ViT-tiny", tmp_path / "clip", pretrained=file, sha256="0" * 64)
    with pytest.raises(HarError, match=r"nowhere\.safetensors: no such file"):
        provided("ViT-tiny", tmp_path / "clip", pretrained="nowhere.safetensors")
    plain = config(source="random", architecture="open_clip", model="ViT-tiny")
    backbone.provide(plain, tmp_path / "clip", pretrained=tmp_path)
    assert not list((tmp_path / "clip").glob("*.safetensors"))
    assert json.loads((tmp_path / "clip/config.json").read_text())["text_config"]["hidden_act"] == "quick_gelu"
    assert Encoder(tmp_path / "clip").images(torch.zeros(3, 3, 32, 32, dtype=torch.uint8)).shape == (3, 16)


@pytest.mark.parametrize(
    ("model", "pretrained", "told"),
    [
        ("vit-b32", "openai", "open_clip has no model 'vit-b32', the nearest are ViT-B-32"),
        ("../ViT-B-32", "openai", "open_clip has no model"),
        ("ViT-B-32", "laion2b_s34b", "no pretrained 'laion2b_s34b', the nearest of its tags are laion2b_s34b_b79k"),
        ("ViT-B-32", "openai", "another activation; take model ViT-B-32-quickgelu"),
        ("RN50-quickgelu", "x@y", "RN50-quickgelu has no pretrained 'x'"),
        ("hf-hub:owner/name@main", "", "commit of 40 hex digits"),
        ("hf-hub:../name@" + "0" * 40, "", "must be a name such as"),
        ("local-dir:nowhere", "", "nowhere: no such folder; expected a model in open_clip's format"),
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
        ("vision_cfg", {"timm_model_name": "no_such_network"}, "no_such_network"),
        ("vision_cfg", {"layers": 10**6}, "at most 1,000 allowed"),
        ("vision_cfg", {"width": 2**14}, "describes [0-9,]+ numbers, the weights hold"),
        ("vision_cfg", {"image_size": 10**6, "pos_embed_type": "sin_cos_2d"}, "image_size is 1000000"),
        ("vision_cfg", {"image_size": [32, 64]}, "size mismatch|preprocessing"),
        ("vision_cfg", {"colour": 1}, "colour"),
        ("text_cfg", {"context_length": 10**7}, "context_length is 10000000"),
        ("text_cfg", {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "tokenizer_kwargs has 'bpe_path'"),
        ("text_cfg", {"hf_tokenizer_name": "owner/words"}, "tokenizer, 'owner/words', is not among its files"),
        ("text_cfg", {"vocab_size": 100}, "size mismatch"),
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
    path = folder / open_clip_door.WEIGHTS
    weights = load_file(path)
    save_file(weights | {"ln_final.bias": torch.full((16,), torch.nan)}, path)
    refused(folder, tmp_path, "ln_final.bias holds NaN")
    save_file({name: value for name, value in weights.items() if name != "ln_final.bias"}, path)
    refused(folder, tmp_path, "ln_final.bias")
    save_file(weights | {"visual.proj": torch.zeros(16, 32)}, path)
    refused(folder, tmp_path, "size mismatch for visual.proj")
    path.write_bytes(path.read_bytes()[:-10])
    refused(folder, tmp_path, "no whole safetensors file")
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    path.unlink()
    refused(folder, tmp_path, r"is missing \(only open_clip_pytorch_model.bin, which may run code\)")
    (folder / "open_clip_config.json").write_text("{}")
    path.write_bytes(b"")
    refused(folder, tmp_path, "has no model_cfg")
    (folder / "open_clip_config.json").unlink()
    refused(folder, tmp_path, "open_clip_config.json is missing")


def test_a_library_that_differs_is_noticed(folder, tmp_path, monkeypatch):
    """The proof looks at numbers: a twin by name alone stays open_clip's."""
    real = open_clip_door.twin

    def other(model):
        made = real(model)
        made.vision_model.encoder.layers[0].layer_norm1.weight.data.mul_(1.5)
        return made

    monkeypatch.setattr(open_clip_door, "twin", other)
    made = provided(folder, tmp_path / "clip")
    assert json.loads((made / "config.json").read_text())["model_type"] == "open_clip"
    agree(folder, made)


def test_fine_tuning_is_refused_before_anything_is_fetched(names):
    open_clip_door.check_fine_tuned(door("ViT-B-32", pretrained="tiny"), ["clip"])
    open_clip_door.check_fine_tuned(door("RN50-quickgelu", pretrained="yfcc15m"), [])
    open_clip_door.check_fine_tuned(door("hf-hub:owner/name"), ["clip"])
    with pytest.raises(HarError, match="RN50-quickgelu cannot be fine-tuned, as clip would: transformers has no such"):
        open_clip_door.check_fine_tuned(door("RN50-quickgelu", pretrained="yfcc15m"), ["clip"])


# --- from a hub -----------------------------------------------------------------------------------------------------


def hub(files):
    site = model_hub(REPO, COMMIT, files)
    about = json.dumps({"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": [], "private": False}).encode()
    for name in (f"/api/models/{REPO}", f"/api/models/{REPO}/revision/main"):
        site.files[name] = about
        site.headers[name] = {"Content-Type": "application/json; charset=utf-8"}
    return serving(site)


def files(folder, **more):
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"README.md": b"#"} | more


@pytest.mark.parametrize("pinned", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_repository(folder, tmp_path, monkeypatch, capsys, pinned):
    name = f"hf-hub:{REPO}" + f"@{COMMIT}" * pinned
    others = {"model.safetensors": b"transformers' own", "open_clip_pytorch_model.bin": b"pickle"}
    with hub(files(folder, **others)) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        agree(folder, provided(name, tmp_path / "clip"))
        asked = [one.path for one in site.requests]
        assert not any(name in path for path in asked for name in ("README", "pickle", "/model.safetensors", ".bin"))
        assert (f"{REPO} is at {COMMIT}; add @{COMMIT}" in capsys.readouterr().out) is not pinned
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    provided(name, tmp_path / "clip")  # from the cache
    with pytest.raises(HarError, match="has sha256"):
        provided(f"hf-hub:{REPO}@{COMMIT}", tmp_path / "clip", sha256="0" * 64)


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


def test_a_pickle_is_refused_with_what_would_do(folder, names, tmp_path, monkeypatch):
    given = files(folder, **{"open_clip_pytorch_model.bin": b"pickle"})
    del given[open_clip_door.WEIGHTS]
    told = r"open_clip_model\.safetensors is missing \(only open_clip_pytorch_model\.bin, which may run code\); take"
    with hub(given) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        with pytest.raises(HarError, match=rf"ViT-B-32, tiny: .*{told} other tags of ViT-B-32: other"):
            provided("ViT-B-32", tmp_path / "clip", pretrained=f"tiny@{COMMIT}")
        with pytest.raises(HarError, match=r"which may run code"):
            provided(f"hf-hub:{REPO}@{COMMIT}", tmp_path / "clip")
        assert not [one for one in site.requests if ".bin" in one.path]
    assert not (tmp_path / "clip").exists()


def test_a_repository_of_another_format_and_a_hub_that_is_away(tmp_path, monkeypatch):
    with hub({"config.json": b"{}", "model.safetensors": b""}) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        with pytest.raises(HarError, match=r"open_clip_config\.json is missing; expected a model in open_clip's"):
            provided(f"hf-hub:{REPO}@{COMMIT}", tmp_path / "clip")
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    huggingface_hub.constants.HF_HUB_CACHE = str(tmp_path / "other")
    with pytest.raises(HarError, match=r"127\.0\.0\.1 cannot be reached"):
        provided(f"hf-hub:{REPO}", tmp_path / "clip")
