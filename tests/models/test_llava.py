"""LLaVA as a classifier: finite, order-free, the same in any batch; LoRA learns; adapters are safetensors."""

import json

import numpy as np
import parameters
import pytest
import torch
import transformers
from accelerate import Accelerator
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from har.core.errors import HarError
from har.models import llava
from har.models.llava import orders, prompt
from har.training import llava as tune

LABELS = {"walking": "walking or running fast", "sitting": "sitting", "standing": "standing"}
CONFIG = parameters.profile().generative["llava15"]
CONFIG = CONFIG.model_copy(
    update={
        "prompt": "USER: <image>\n{question} ASSISTANT:", "question": "what? {labels}.", "dtype": "float32",
        "lora": CONFIG.lora.model_copy(update={"rank": 4, "epochs": 6, "batch_size": 3, "learning_rate": 0.02}),
    }
)  # fmt: skip
WORDS = ["USER", ":", "ASSISTANT", "what", "?", ",", "or", ".", "walking", "running", "fast", "sitting", "standing"]
IDS = [1, 2, 3]
TARGETS = ["walking", "sitting", "standing"]


def opened(image_id):
    """Landscape, portrait and square pictures: LLaVA-NeXT cuts each into other tiles."""
    return Image.fromarray(picture(image_id, *[(60, 40), (30, 70), (32, 32)][image_id % 3]))


def tiny(kind, path, layers=2):
    """A random LLaVA of some 50,000 parameters in the hub's format."""
    words = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", "<image>", *WORDS])}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", words["<s>"])])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )  # fmt: skip
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": layers, "num_attention_heads": 2}
    vision = transformers.CLIPVisionConfig(**small, image_size=32, patch_size=8, projection_dim=16)
    text = small | {"vocab_size": len(words), "num_key_value_heads": 2, "max_position_embeddings": 512}
    text |= {"initializer_range": 0.3}  # from the usual 0.02 every answer would be as likely as any other
    name, text_name, pictures_name, tiles = {
        "llava": ("Llava", "Llama", "CLIP", {}),
        "llava_next": ("LlavaNext", "Mistral", "LlavaNext", {"image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]]}),
    }[kind]
    text = getattr(transformers, f"{text_name}Config")(**text)
    config = getattr(transformers, f"{name}Config")(
        vision_config=vision, text_config=text, image_token_index=words["<image>"], **tiles
    )
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    pictures = getattr(transformers, f"{pictures_name}ImageProcessor")(**size, **tiles)
    expand = {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    torch.manual_seed(0)
    getattr(transformers, f"{name}ForConditionalGeneration")(config).save_pretrained(path)
    getattr(transformers, f"{name}Processor")(pictures, tokenizer, **expand).save_pretrained(path)
    return path


@pytest.fixture(scope="module", params=["llava", "llava_next"])
def folder(request, tmp_path_factory):
    return tiny(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def vlm(folder):
    return llava.load(folder, "float32", "cpu")


def learn(folder, config=CONFIG, seed=0):
    vlm = llava.load(folder, "float32", "cpu")
    return tune.tune(vlm, IDS, TARGETS, opened, LABELS, config, seed, Accelerator(cpu=True))


def ask(vlm, labels=LABELS, **changes):
    return llava.probabilities(vlm, IDS, opened, labels, CONFIG.model_copy(update=changes))


class TestPrompts:
    @given(st.lists(st.text("abc", min_size=1), min_size=2, max_size=4, unique=True), st.randoms())
    def test_orders_do_not_depend_on_the_order_of_classes(self, answers, random):
        shuffled = random.sample(answers, len(answers))
        for which in ("all", "rotations"):
            one = orders(dict(zip("wxyz", answers, strict=False)), which)
            assert one == orders(dict(zip("wxyz", shuffled, strict=False)), which)
            assert all(sorted(order) == sorted(answers) for order in one)
            for place in range(len(answers)):  # each answer stands equally often in each place
                stood = [order[place] for order in one]
                assert {stood.count(answer) for answer in answers} == {len(one) // len(answers)}

    def test_a_prompt_lists_the_labels(self):
        said = prompt("USER: <image>\n{question} ASSISTANT:", "Which of {labels}?", ("sitting", "standing", "walking"))
        assert said == "USER: <image>\nWhich of sitting, standing or walking? ASSISTANT:"


class TestScores:
    def test_a_likelihood_is_the_models_own_token_by_token(self, vlm):
        before = prompt(CONFIG.prompt, CONFIG.question, ("sitting", "standing"))
        (found,) = llava.log_likelihoods(vlm, [opened(1)], [before], ["walking or running fast"]).tolist()
        told = []
        text = before
        with torch.inference_mode():
            for word in ("walking", "or", "running", "fast"):
                inputs = vlm.processor(images=opened(1), text=text, return_tensors="pt")
                logits = vlm.model(**inputs).logits[0, -1].log_softmax(-1)
                told.append(float(logits[vlm.processor.tokenizer.convert_tokens_to_ids(word)]))
                text += " " + word
        assert found == pytest.approx(np.mean(told), abs=1e-4)

    def test_company_padding_and_the_order_of_classes_change_nothing(self, vlm):
        whole = ask(vlm, batch_size=18)
        np.testing.assert_allclose(whole.sum(1), 1, atol=1e-12)
        assert np.abs(whole[0] - whole[1]).max() > 1e-3  # the image has a say
        order = ["standing", "walking", "sitting"]
        mixed = ask(vlm, {name: LABELS[name] for name in order}, batch_size=5)
        np.testing.assert_allclose(mixed[:, [order.index(name) for name in LABELS]], whole, atol=1e-5)
        befores = [prompt(CONFIG.prompt, CONFIG.question, ("sitting", "standing"))] * 3
        answers = ["sitting", "walking or running fast", "standing"]
        images = [opened(i) for i in IDS]  # of three shapes, so of three lengths
        with torch.inference_mode():
            beside = llava.log_likelihoods(vlm, images, befores, answers)
            alone = [
                llava.log_likelihoods(vlm, [i], [b], [a]) for i, b, a in zip(images, befores, answers, strict=True)
            ]
        np.testing.assert_allclose(beside, torch.cat(alone), atol=1e-4)

    def test_an_answer_without_tokens_is_told(self, vlm):
        with pytest.raises(HarError, match="adds no token"):
            llava.log_likelihoods(vlm, [opened(1)], ["USER: <image>\nwhat? ASSISTANT:"], [""])


class TestTune:
    @pytest.fixture(scope="class")
    def tuned(self, folder):
        return learn(folder)

    def test_attention_learns_and_raises_the_likelihood_of_the_training_images(self, vlm, tuned):
        after, history = tuned
        learns = {name for name, p in after.model.named_parameters() if p.requires_grad}
        assert len(learns) == 2 * 2 * 2
        assert all("language_model" in name and ".lora_" in name for name in learns)
        assert tune.trained_parameters(after) == 2 * 2 * 2 * 4 * 32
        assert history[-1] < history[0]
        own = [list(LABELS).index(name) for name in TARGETS]
        before, now = (ask(each)[range(3), own] for each in (vlm, after))
        assert np.log(now).mean() > np.log(before).mean()

    def test_the_same_seed_learns_the_same(self, folder):
        config = CONFIG.model_copy(update={"lora": CONFIG.lora.model_copy(update={"epochs": 1})})
        histories = [learn(folder, config, seed)[1] for seed in (0, 0, 1)]
        assert histories[0] == histories[1] != histories[2]

    def test_adapters_are_safetensors_that_open_again_and_name_no_folder(self, folder, tuned, tmp_path):
        tune.save(*tuned, tmp_path / "saved", CONFIG, Accelerator(cpu=True))
        assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == [
            "adapter_config.json", "adapter_model.safetensors", "loss.csv",
        ]  # fmt: skip
        told = json.loads((tmp_path / "saved/adapter_config.json").read_text())
        assert (told["base_model_name_or_path"], told["revision"]) == (CONFIG.id, CONFIG.revision)
        again = tune.updated(llava.load(folder, "float32", "cpu"), tmp_path / "saved")
        np.testing.assert_allclose(ask(again), ask(tuned[0]), atol=1e-5)
        assert tune.trained_parameters(again) == tune.trained_parameters(tuned[0])


class TestTrouble:
    def test_another_kind_of_model_is_told(self, checkpoints):
        with pytest.raises(HarError, match="not a LLaVA in the hub's format: model_type is 'clip'"):
            llava.load(checkpoints["clip"], "float32", "cpu")

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("generative.llava15.question", "What?", "generative.llava15: question must hold {labels} once"),
            ("generative.llava15.answers.standing", "sitting", "answers gives two classes the same answer"),
            ("generative.llava15.answers", {"sitting": "sitting"}, "llava15.answers lacks a class: tasks.activity"),
        ],
    )
    def test_a_mistake_in_params_is_named(self, tmp_path, key, value, said):
        assert said in parameters.error(tmp_path, {"generative.llava15.answers.sitting": "sitting", key: value})
