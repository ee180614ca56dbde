"""The exported networks of `skip`."""
from torch import nn

from model import DECODERS, ENCODERS, numbered

# ---- exported ----


class TwoConvBlock(nn.Module):
    """act(y + shortcut(x)), y = bn2(conv2(act(bn1(conv1 x)))). Enlarges x, or halves what conv2 and shortcut see."""

    def __init__(self, model, i, o, times=None):
        super().__init__()
        norm = nn.BatchNorm2d if model["batch_norm"] else nn.Identity
        middle, self.act = (o + 1) // 2, nn.LeakyReLU(model["slope"])
        self.conv1, self.bn1 = nn.Conv2d(i, middle, 3, padding=1), norm(middle)
        self.conv2, self.bn2 = nn.Conv2d(middle, o, 3, padding=1), norm(o)
        self.shortcut = nn.Conv2d(i, o, 3, padding=1)
        self.enlarge = nn.Upsample(scale_factor=times) if times else nn.Identity()
        self.halve = nn.Identity() if times else nn.AvgPool2d(2)

    def forward(self, x):
        x = self.enlarge(x)
        y = self.act(self.bn1(self.conv1(x)))
        return self.act(self.bn2(self.conv2(self.halve(y))) + self.shortcut(self.halve(x)))


class PreActivationBlock(nn.Module):
    """h = conv1 x, h + bn2(conv2(act(bn1 h))). conv1 has stride 2, or an enlarged input."""

    def __init__(self, model, i, o, times=None):
        super().__init__()
        norm = nn.BatchNorm2d if model["batch_norm"] else nn.Identity
        self.act = nn.LeakyReLU(model["slope"])
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride=1 if times else 2, padding=1), norm(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, padding=1), norm(o)
        self.enlarge = nn.Upsample(scale_factor=times) if times else nn.Identity()

    def forward(self, x):
        h = self.conv1(self.enlarge(x))
        return h + self.bn2(self.conv2(self.act(self.bn1(h))))


BLOCKS = {"two-conv": TwoConvBlock, "pre-activation": PreActivationBlock}


class SkipEncoder(nn.Module):
    """Four blocks that halve the size, to w, 2w, 4w and 8w channels. The heads are convolutions of the whole maps."""

    def __init__(self, model, channels, size):
        super().__init__()
        widths = [channels] + [model["width"] << i for i in range(4)]
        blocks = [BLOCKS[model["block"]](model, i, o) for i, o in zip(widths, widths[1:])]
        self.blocks, self.outputs, self.last_size = numbered(self, "down", blocks), widths[-1], size // 16

    def head(self, z):
        return nn.Conv2d(self.outputs, z, self.last_size)

    def features(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class SkipDecoder(nn.Module):
    """Blocks that enlarge. The first of `two-conv` turns z into 8w maps of S/16; `pre-activation` has a linear layer
    instead. Four blocks double the size, to 4w, 2w, w, and w/2 channels (two-conv) or w (pre-activation)."""

    def __init__(self, model, channels, size, inputs):
        super().__init__()
        w, block = model["width"], BLOCKS[model["block"]]
        self.first_size, self.linear, blocks = size // 16, None, []
        if block is TwoConvBlock:
            widths = [8 * w, 4 * w, 2 * w, w, (w + 1) // 2]
            blocks = [block(model, inputs, 8 * w, self.first_size)]
        else:
            widths = [8 * w, 4 * w, 2 * w, w, w]
            self.linear = nn.Linear(inputs, 8 * w * self.first_size**2)
        blocks += [block(model, i, o, 2) for i, o in zip(widths, widths[1:])]
        self.blocks, self.conv1 = numbered(self, "up", blocks), nn.Conv2d(widths[-1], channels, 3, padding=1)

    def first_maps(self, z):
        if self.linear is None:
            return z[:, :, None, None]
        return self.linear(z).unflatten(1, (-1, self.first_size, self.first_size))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.conv1(x)


ENCODERS["skip"], DECODERS["skip"] = SkipEncoder, SkipDecoder
