"""The exported encoder of a VGG or an AlexNet."""
from torch import nn

from model import DECODERS, ENCODERS, body
from resnet_decoder import ResnetDecoder
from resnet_encoder import STAGES

# ---- exported ----


class Features(nn.Sequential):
    """The layers, which torchvision calls features. Called as the method of this name that every encoder has, it returns means."""

    def forward(self, x):
        return super().forward(x).mean((2, 3))


class VggEncoder(nn.Module):
    """The convolutions of VGG-11, VGG-16 or AlexNet with the names of torchvision. The decoder is that of resnet18."""

    def __init__(self, model, channels, size):
        super().__init__()
        w, kind = model["width"], body(model)
        if kind == "alexnet":  # channels / w, kernel, stride, padding, and whether a pool follows
            plan, pool = [(1, 11, 4, 2, True), (3, 5, 1, 2, True), (6, 3, 1, 1, False), (4, 3, 1, 1, False), (4, 3, 1, 1, True)], 3
        else:
            counts, pool = {"vgg11": [1, 1, 2, 2, 2], "vgg16": [2, 2, 3, 3, 3]}[kind], 2
            plan = [(e, 3, 1, 1, n == count) for count, e in zip(counts, [1, 2, 4, 8, 8]) for n in range(1, count + 1)]
        layers, i = [], channels
        for e, kernel, stride, padding, pooled in plan:
            layers.append(nn.Conv2d(i, e * w, kernel, stride, padding))
            i = e * w
            if model["batch_norm"] and kind != "alexnet":
                layers.append(nn.BatchNorm2d(i))
            layers.append(nn.ReLU())
            if pooled:
                layers.append(nn.MaxPool2d(pool, 2))
        self.features, self.outputs = Features(*layers), i

    def head(self, z):
        return nn.Linear(self.outputs, z)

    def forward(self, x):
        return nn.Sequential.forward(self.features, x)


ENCODERS.update(vgg11=VggEncoder, vgg16=VggEncoder, alexnet=VggEncoder)
for kind in ["vgg11", "vgg16", "alexnet"]:
    STAGES[kind], DECODERS[kind] = STAGES["resnet18"], ResnetDecoder
