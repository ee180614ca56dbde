"""The exported networks of `dense`."""
import torch
from torch import nn
from torch.nn import functional as F

from model import DECODERS, ENCODERS, numbered

# ---- exported ----

ACTIVATIONS = {"relu": F.relu, "tanh": torch.tanh}


class DenseEncoder(nn.Module):
    """Linear layers with an activation after each: [N, C·S·S] → hidden → … → hidden."""

    def __init__(self, model, channels, size):
        super().__init__()
        widths = [channels * size * size] + [model["hidden"]] * model["layers"]
        self.activation = ACTIVATIONS[model["activation"]]
        self.layers = numbered(self, "linear", [nn.Linear(i, o) for i, o in zip(widths, widths[1:])])

    def head(self, z):
        return nn.Linear(self.layers[-1].out_features, z)

    def features(self, x):
        x = x.flatten(1)
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


class DenseDecoder(nn.Module):
    """The same in reverse: [N, z] → hidden → … → hidden → [N, C, S, S]."""

    def __init__(self, model, channels, size, inputs):
        super().__init__()
        widths = [inputs] + [model["hidden"]] * model["layers"]
        self.activation = ACTIVATIONS[model["activation"]]
        self.layers = numbered(self, "linear", [nn.Linear(i, o) for i, o in zip(widths, widths[1:])])
        self.output, self.shape = nn.Linear(model["hidden"], channels * size * size), (channels, size, size)

    def first_maps(self, z):
        for layer in self.layers:
            z = self.activation(layer(z))
        return z

    def forward(self, x):
        return self.output(x).unflatten(1, self.shape)


ENCODERS["dense"], DECODERS["dense"] = DenseEncoder, DenseDecoder
