"""The networks trained from scratch: CNN_base, CNN_gen, FNN_base and the MLPs on embeddings."""

from itertools import pairwise

import torch
from torch import nn

from har.config.models import Cnn, Dense, Mlp


def cnn(config: Cnn, classes: int) -> nn.Sequential:
    """Blocks of 3x3 convolution (padding 1), ReLU and 2x2 max-pool, then two dense layers (the paper's
    CNN_base; with batch_norm and dropout its CNN_gen). Input [n, 3, size, size], output [n, classes]."""
    layers: list[nn.Module] = []
    for width_in, width in pairwise([3, *config.channels]):
        layers.append(nn.Conv2d(width_in, width, 3, padding=1))
        if config.batch_norm:
            layers.append(nn.BatchNorm2d(width))
        # the ReLU after the max-pool gives the same numbers from a quarter of the work
        layers += [nn.MaxPool2d(2), nn.ReLU()]
        if config.conv_dropout:
            layers.append(nn.Dropout2d(config.conv_dropout))
    side = config.input_size >> len(config.channels)
    layers += [nn.Flatten(), nn.Linear(config.channels[-1] * side * side, config.hidden), nn.ReLU()]
    if config.dropout:
        layers.append(nn.Dropout(config.dropout))
    # channels-last runs the convolutions of this size 1.2 to 1.6 times as fast on CPUs
    return nn.Sequential(*layers, nn.Linear(config.hidden, classes)).to(memory_format=torch.channels_last)


def dense(config: Dense, classes: int) -> nn.Sequential:
    """The flat image through dense layers (FNN_base). Input [n, 3, size, size], output [n, classes]."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width_in, width in pairwise([3 * config.input_size**2, *config.hidden]):
        layers += [nn.Linear(width_in, width), nn.ReLU()]
        if config.dropout:
            layers.append(nn.Dropout(config.dropout))
    return nn.Sequential(*layers, nn.Linear(config.hidden[-1], classes))


class Standardise(nn.Module):
    """Features to zero mean and unit deviation of the training set; cosines of CLIP differ in the third
    decimal only, which no learning rate suits. Set by `fit`, then constant."""

    def __init__(self, features: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def fit(self, x: torch.Tensor) -> None:
        self.mean.copy_(x.mean(0))
        self.std.copy_(x.std(0).clamp_min(1e-8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.std


def mlp(config: Mlp, features: int, classes: int) -> nn.Sequential:
    """Dense, ReLU, BatchNorm, dropout per hidden layer (MultimodalClassifier, FeatureClassifier).
    Input [n, features], output [n, classes]."""
    layers: list[nn.Module] = [Standardise(features)]
    for width_in, width in pairwise([features, *config.hidden]):
        layers += [nn.Linear(width_in, width), nn.ReLU(), nn.BatchNorm1d(width), nn.Dropout(config.dropout)]
    return nn.Sequential(*layers, nn.Linear(config.hidden[-1], classes))
