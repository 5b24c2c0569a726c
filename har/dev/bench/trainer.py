"""One seed of the work in this folder by transformers' Trainer: `python -m har.dev.bench.trainer SEED`.

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
from transformers import AutoImageProcessor, AutoModelForImageClassification, Trainer, TrainingArguments


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


def main(seed: int) -> None:
    with open("work.json", encoding="utf-8") as file:
        work = json.load(file)
    images = pd.read_csv("images.csv", dtype={"label": str})
    classes, recipe = work["classes"], work["model"]
    processor = AutoImageProcessor.from_pretrained(work["checkpoint"])
    model = AutoModelForImageClassification.from_pretrained(
        work["checkpoint"],
        id2label=dict(enumerate(classes)),
        label2id={name: i for i, name in enumerate(classes)},
        problem_type="single_label_classification",
        ignore_mismatched_sizes=True,
        dtype=torch.float32,
    )
    flip = RandomHorizontalFlip(work["strength"]["flip_probability"])
    train = Files(images[images.split == "train"], classes, processor, flip)
    validation = Files(images[images.split == "validation"], classes, processor)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=f"trainer-{seed}",
            num_train_epochs=recipe["epochs"],
            per_device_train_batch_size=recipe["batch_size"],
            learning_rate=recipe["learning_rate"],
            lr_scheduler_type="cosine",
            warmup_steps=recipe["warmup"],  # below 1: a share of all steps
            weight_decay=recipe["weight_decay"],
            label_smoothing_factor=recipe["label_smoothing"],
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            seed=seed,
            use_cpu=work["training"]["device"] == "cpu",
        ),
        train_dataset=train,
        eval_dataset=validation,
    )
    trainer.train()
    trainer.save_model()
    told = images[images.split != "train"]
    logits = trainer.predict(Files(told, classes, processor)).predictions
    np.save(f"trainer-{seed}.npy", torch.softmax(torch.from_numpy(logits).double(), 1).numpy())


if __name__ == "__main__":
    main(int(sys.argv[1]))
