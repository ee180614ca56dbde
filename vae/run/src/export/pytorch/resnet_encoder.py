"""The exported encoder of a ResNet."""
from torch import nn
from torch.nn import functional as F

from model import ENCODERS, body, numbered

# ---- exported ----


class ResnetBlock(nn.Module):
    """relu(f(x) + shortcut(x)). f has two convolutions or three, a norm after each, and ReLUs between them. The shortcut
    is called downsample in an encoder, as in torchvision, and upsample in a decoder. In a decoder, `enlarge` may double
    the input of the second convolution and of the shortcut."""

    def __init__(self, convs, norm, downsample=nn.Identity(), upsample=nn.Identity(), enlarge=nn.Identity()):
        super().__init__()
        self.convs = numbered(self, "conv", convs)
        self.norms = numbered(self, "bn", [norm(conv.out_channels) for conv in convs])
        self.downsample, self.upsample, self.enlarge = downsample, upsample, enlarge

    def forward(self, x):
        y = self.norms[0](self.convs[0](x))
        y = self.norms[1](self.convs[1](self.enlarge(F.relu(y))))
        for conv, norm in zip(self.convs[2:], self.norms[2:]):
            y = norm(conv(F.relu(y)))
        return F.relu(y + self.upsample(self.downsample(self.enlarge(x))))


# e, the channels at the end of a block divided by those in its middle, and the number of blocks in each stage
STAGES = {"resnet18": (1, [2, 2, 2, 2]), "resnet50": (4, [3, 4, 6, 3])}


class ResnetEncoder(nn.Module):
    """A ResNet with the names of torchvision: stem w, S/2 → stages of ew, 2ew, 4ew and 8ew channels. The first block of
    each stage but the first halves the size."""

    def __init__(self, model, channels, size):
        super().__init__()
        w, (e, counts) = model["width"], STAGES[body(model)]
        norm = nn.BatchNorm2d if model["batch_norm"] else nn.Identity
        kernel, self.pool = {"3x3": (3, nn.Identity()), "7x7-pool": (7, nn.MaxPool2d(3, 2, 1))}[model["stem"]]

        def conv(i, o, kernel, stride=1):
            return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=not model["batch_norm"])

        self.conv1, self.bn1 = conv(channels, w, kernel, 2), norm(w)
        i, stages = w, []
        for s, count in enumerate(counts):
            middle, o, blocks = w << s, e * w << s, []
            for n in range(count):
                stride = 2 if n == 0 and s > 0 else 1
                if e == 1:
                    convs = [conv(i, o, 3, stride), conv(o, o, 3)]
                else:
                    convs = [conv(i, middle, 1), conv(middle, middle, 3, stride), conv(middle, o, 1)]
                changes = stride > 1 or i != o
                shortcut = nn.Sequential(conv(i, o, 1, stride), norm(o)) if changes else nn.Identity()
                blocks.append(ResnetBlock(convs, norm, downsample=shortcut))
                i = o
            stages.append(nn.Sequential(*blocks))
        self.stages, self.outputs = numbered(self, "layer", stages), i

    def head(self, z):
        return nn.Linear(self.outputs, z)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = stage(x)
        return x

    def features(self, x):
        return self(x).mean((2, 3))


ENCODERS.update(resnet18=ResnetEncoder, resnet50=ResnetEncoder)
