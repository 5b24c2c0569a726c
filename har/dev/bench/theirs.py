"""transformers alone at the work of this folder: `python theirs.py train CHECKPOINT SEED` fine-tunes one seed by
Trainer, `python theirs.py embed ENCODER` embeds by a plain loop over files.

As its own examples have it: a data set that opens files, the checkpoint's image processor, an evaluation each epoch;
what is left at its default here (the number of threads and of loading processes, for one) is Trainer's. Nothing of this
project is loaded.
"""

import json
import sys

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torchvision.transforms import RandomHorizontalFlip
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification, Trainer, TrainingArguments

BATCH = 32  # images, when embedding


class Files(torch.utils.data.Dataset):
    def __init__(self, images, classes, processor, flip=None):
        self.files, self.labels = images.file.tolist(), [classes.index(label) for label in images.label]
        self.processor, self.flip = processor, flip

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        image = Image.open(self.files[i]).convert("RGB")
        if self.flip is not None:
            image = self.flip(image)
        pixels = self.processor(image, return_tensors="pt")["pixel_values"][0]
        return {"pixel_values": pixels, "labels": self.labels[i]}


def train(checkpoint: str, seed: str) -> None:
    with open("work.json", encoding="utf-8") as file:
        work = json.load(file)
    images, classes = pd.read_csv("images.csv", dtype={"label": str}), work["classes"]
    processor = AutoImageProcessor.from_pretrained(checkpoint)
    model = AutoModelForImageClassification.from_pretrained(
        checkpoint,
        id2label=dict(enumerate(classes)),
        label2id={name: i for i, name in enumerate(classes)},
        problem_type="single_label_classification",
        ignore_mismatched_sizes=True,
        dtype=torch.float32,
    )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=f"trainer-{seed}",
            num_train_epochs=work["epochs"],
            per_device_train_batch_size=work["batch_size"],
            learning_rate=work["learning_rate"],
            lr_scheduler_type="cosine",
            warmup_steps=work["warmup"],  # below 1: a share of all steps
            weight_decay=work["weight_decay"],
            label_smoothing_factor=work["label_smoothing"],
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            seed=int(seed),
            use_cpu=work["cpu"],
        ),
        train_dataset=Files(images[images.split == "train"], classes, processor, RandomHorizontalFlip(work["flip"])),
        eval_dataset=Files(images[images.split == "validation"], classes, processor),
    )
    trainer.train()
    trainer.save_model()
    logits = trainer.predict(Files(images[images.split != "train"], classes, processor)).predictions
    np.save(f"trainer-{seed}.npy", torch.softmax(torch.from_numpy(logits).double(), 1).numpy())


@torch.inference_mode()
def embed(encoder: str) -> None:
    device = torch.accelerator.current_accelerator() or "cpu"
    processor = AutoImageProcessor.from_pretrained(encoder)
    model, found = AutoModel.from_pretrained(encoder, dtype=torch.float32).eval().to(device), []
    files = pd.read_csv("images.csv").file
    for start in range(0, len(files), BATCH):
        images = [Image.open(file).convert("RGB") for file in files[start : start + BATCH]]
        inputs = processor(images=images, return_tensors="pt").to(device)
        found.append(model(**inputs).last_hidden_state[:, 0].cpu())  # the class token
    np.save("theirs.npy", torch.cat(found).numpy())


if __name__ == "__main__":
    {"train": train, "embed": embed}[sys.argv[1]](*sys.argv[2:])
