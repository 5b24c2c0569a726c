"""One training run: one configuration, one seed, one process.

Selection (the epoch, where early stopping is on) looks at the validation images only; the caller gets
probabilities of the images it asked for and evaluates them once.
"""

import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from har.config.models import Model
from har.config.training import Augmentation
from har.core.cache import RUNNING
from har.core.errors import HarError
from har.core.files import write_json
from har.models.build import build, logits, parameter_count
from har.models.preprocess import hub_config
from har.training.augment import compose
from har.training.checkpoint import Checkpoint
from har.training.run import Inputs, TrainingResult

DIVERGED = 5.0  # times the loss of guessing: above that, and above its first epoch, no training works


def pick_device(device: str) -> str:
    """`device` itself; "auto" is the first of cuda, mps, cpu that this machine has. HarError for one that it lacks."""
    has = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if device == "auto":
        return next((name for name, there in has.items() if there()), "cpu")
    if device in has and not has[device]():
        raise HarError(f"device {device}: this machine has none that torch can use; take auto or cpu")
    return device


def make_reproducible() -> None:
    """What every run sets before it draws or computes anything."""
    # one thread a run: sums come out the same however many runs share the machine
    torch.set_num_threads(1)
    # as use_deterministic_algorithms(True, warn_only=True), which also loads torch's compiler, for 2 to 3 s
    torch.set_deterministic_debug_mode("warn")
    # no kernel here reads what it has not written; filling first costs 5 % of a small network's step
    torch.utils.deterministic.fill_uninitialized_memory = False


def train(
    config: Model,
    classes: list[str],
    inputs: Inputs,
    seed: int,
    *,
    strength: Augmentation,
    device: str = "cpu",
    backbone: Path | None = None,
    checkpoint: Path | None = None,
    texts: np.ndarray | None = None,
    keep: Path | None = None,
) -> TrainingResult:
    """Train one model with one seed and predict `inputs.predict_rows`.

    The seed sets initial weights, order, dropout and augmentation. checkpoint: a folder for the kept
    weights, in the hub's format for a fine-tuned one. texts: the classes' unit text embeddings times the encoder's
    temperature, [classes, width], for heads of texts. keep: a folder in which the state after an epoch outlives an
    interruption: a later call goes on from there. Raises HarError when the loss is not finite or training
    diverges.
    """
    start = time.perf_counter()
    make_reproducible()
    torch.manual_seed(seed)
    device = pick_device(device)

    model, preprocess = build(config, classes, backbone, features=inputs.x.shape[-1])
    model = model.to(device)
    x, y = (torch.from_numpy(values).to(device) for values in (inputs.x, inputs.y))
    prepare = preprocess.normalise if preprocess else (lambda batch: batch)
    augment = compose(config.augmentation, strength, x.shape[-1]) if x.ndim == 4 else None
    train_rows, validation_rows = torch.as_tensor(inputs.train), torch.as_tensor(inputs.validation)

    groups = _prepare_parameters(model, config, prepare, x, y, train_rows, texts)
    parameters = list(model.parameters())  # a walk through all modules costs a small network a tenth of its step
    steps_an_epoch = len(batches(train_rows, config.batch_size))
    steps = config.epochs * steps_an_epoch
    optimizer = AdamW(groups, fused=True)
    schedule = LambdaLR(optimizer, lambda step: rate_factor(step, steps, config.warmup))

    running = Checkpoint(keep and keep / RUNNING, model=model, optimizer=optimizer, schedule=schedule)
    history, best, kept = running.load() or ([], math.inf, None)
    for epoch in range(len(history), config.epochs):
        model.train()
        order = train_rows[torch.randperm(len(train_rows))]
        total = 0.0
        for rows in batches(order, config.batch_size):
            images = x[rows]
            if augment is not None:
                images = augment(images)
            loss = cross_entropy(logits(model, prepare(images)), y[rows], label_smoothing=config.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        scores = predict(model, x[validation_rows], prepare)
        factor = rate_factor((epoch + 1) * steps_an_epoch, steps, config.warmup)
        record(history, total / len(train_rows), scores, y[validation_rows], factor, seed, config)
        validation_loss = history[-1]["validation_loss"]
        if config.patience and epoch + 1 >= getattr(config, "min_epochs", 0):
            if validation_loss < best:
                best = validation_loss
                kept = (epoch, {k: v.detach().clone() for k, v in model.state_dict().items()})
            elif epoch - kept[0] >= config.patience:
                break
        running.save(history, best, kept)
    if kept is not None:
        model.load_state_dict(kept[1])
    epoch = kept[0] if kept is not None else len(history) - 1
    scores = predict(model, x[torch.as_tensor(inputs.predict_rows)], prepare)
    trainable = parameter_count(model)  # before saving, which merges low-rank updates away
    if checkpoint is not None:
        save(model, config, classes, checkpoint, backbone)
    return TrainingResult(
        seed=seed,
        probabilities=torch.softmax(scores.double(), dim=1).numpy(),
        history=history,
        epoch=epoch + 1,
        validation_loss=history[epoch]["validation_loss"],
        parameters=trainable,
        seconds=time.perf_counter() - start,
    )


def record(
    history: list[dict],
    train_loss: float,
    scores: torch.Tensor,
    y: torch.Tensor,
    factor: float,
    seed: int,
    config: Model,
) -> None:
    """Append an epoch to `history`: its training loss, loss and accuracy of the validation images by their scores
    [n, classes], and config.learning_rate times `factor`, where the schedule stands (a new head's own rate and layers'
    smaller ones follow the same). HarError where the run has failed, so that no table averages it in."""
    y, epoch = y.cpu(), len(history) + 1
    row = {
        "seed": seed,
        "epoch": epoch,
        "train_loss": train_loss,
        "validation_loss": float(cross_entropy(scores, y)),
        "validation_accuracy": float((scores.argmax(1) == y).float().mean()),
        "learning_rate": float(f"{config.learning_rate * factor:.4g}"),
    }
    hint = f"lower learning_rate (now {config.learning_rate:g})"
    # the step after a finite training loss may still blow up: the validation loss tells
    if not (math.isfinite(train_loss) and math.isfinite(row["validation_loss"])):
        raise HarError(f"seed {seed}: the loss is not finite in epoch {epoch}; {hint}")
    guessing = math.log(scores.shape[1])
    # a first epoch may start from anywhere; from there it must fall, and may not end high up
    first = history[0]["train_loss"] if history else math.inf
    risen = history and (train_loss > first or epoch == config.epochs)
    if risen and train_loss > DIVERGED * guessing:
        raise HarError(
            f"seed {seed}: training diverges, the loss is {train_loss:.3g} in epoch {epoch} (guessing gives "
            f"{guessing:.3g}, epoch 1 gave {first:.3g}); {hint}"
        )
    history.append(row)


def _prepare_parameters(model, config: Model, prepare, x, y, rows, texts) -> list[dict]:
    """Start values that depend on the training images, and the optimiser's parameter groups."""
    if not config.sees_images:
        model[0].fit(x[rows])
    if config.fine_tuned:
        from har.models.classifier import layer_groups
        from har.models.lora import adapt

        if config.head == "probe":
            _probe_head(model, prepare, x[rows], y[rows], config.probe_c)
        if config.of_texts:
            _set_head(model, texts, np.zeros(len(texts)))
        adapt(model, config)
        model.to(x.device)  # low-rank updates are drawn on the CPU
        groups = layer_groups(model, config.learning_rate, config.head_learning_rate, config.layer_decay)
    else:
        flat = [p for p in model.parameters() if p.ndim <= 1]
        full = [p for p in model.parameters() if p.ndim > 1]
        groups = [{"params": full, "parameters_1d": False}, {"params": flat, "parameters_1d": True}]
    for group in groups:
        group["weight_decay"] = 0.0 if group.pop("parameters_1d") else config.weight_decay
        group.setdefault("lr", config.learning_rate)
    return groups


def _probe_head(model, prepare, x, y, c: float) -> None:
    """Start the head as a logistic regression on the frozen features, so that the first steps do not
    tear the pretrained features apart (Kumar et al. 2022, "Fine-tuning can distort pretrained features")."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    from har.models.classifier import head_inputs

    features = predict(model, x, prepare, head_inputs).double().numpy()
    mean, std = features.mean(0), features.std(0) + 1e-8
    with threadpool_limits(limits=1):  # at this size threads wait for each other most of the time
        probe = LogisticRegression(C=c, max_iter=2000).fit((features - mean) / std, y.cpu().numpy())
    weight, bias = probe.coef_, probe.intercept_
    if len(weight) == 1:  # two classes: scikit-learn keeps one row, a softmax head needs two
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight, bias = weight / std, bias - weight @ (mean / std)
    _set_head(model, weight, bias)


def _set_head(model, weight: np.ndarray, bias: np.ndarray) -> None:
    """Start the head from these; HarError where they are of another width, as texts of another encoder."""
    from har.models.classifier import head_of

    head = head_of(model)
    if weight.shape != head.weight.shape:
        told = f"{weight.shape[1]} columns, the head has {head.in_features} inputs"
        raise HarError(f"head text needs a CLIP or SigLIP with its own texts: their embeddings have {told}")
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(weight))
        head.bias.copy_(torch.as_tensor(bias))


@torch.inference_mode()
def predict(model, x: torch.Tensor, prepare, forward=logits, batch_size: int = 64) -> torch.Tensor:
    """`forward(model, batch)` over x in batches, in evaluation mode, on the CPU: [n, ...]."""
    model.eval()
    return torch.cat([forward(model, prepare(batch)).float().cpu() for batch in x.split(batch_size)])


def batches(rows: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Row numbers in batches; a last batch of one joins the one before it, batch norm needs two."""
    batches = list(rows.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        last = batches.pop()
        batches[-1] = torch.cat([batches[-1], last])
    return batches


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up, then a cosine to zero: the factor on the learning rate at `step`."""
    ramp = warmup * steps
    if step < ramp:
        return (step + 1) / (ramp + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - ramp) / max(1.0, steps - ramp))))


def save(model, config: Model, classes: list[str], folder: Path, backbone: Path | None) -> None:
    """Weights as safetensors: the hub's own format for transformers models (with the preprocessing, so that its
    pipelines open the folder; with the text tower where the head is of texts), else state dict and classes.
    config.json holds `config` as well."""
    folder.mkdir(parents=True, exist_ok=True)
    if config.fine_tuned:
        from har.models.lora import merge

        merge(model)
        model.config.config = config.model_dump()  # a key more in the hub's config.json
        if config.of_texts:
            from har.models.encoder import save_with_text

            save_with_text(model.cpu(), backbone, folder)
        else:
            model.cpu().save_pretrained(folder)
        write_json(folder / "preprocessor_config.json", hub_config(backbone)[0])
        return
    from safetensors.torch import save_file

    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    write_json(folder / "config.json", {"classes": classes, "config": config.model_dump()})
