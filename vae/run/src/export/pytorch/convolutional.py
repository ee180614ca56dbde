"""The exported networks of `basic` and `conv3`."""
from torch import nn
from torch.nn import functional as F

from model import DECODERS, ENCODERS, body, numbered

# ---- exported ----


class ConvolutionalEncoder(nn.Module):
    """3×3 convolutions with a ReLU after each. Their stride halves the maps, or max pooling after them."""

    def __init__(self, model, channels, size):
        super().__init__()
        stride, self.pool = {"stride": (2, nn.Identity()), "pool": (1, nn.MaxPool2d(2))}[model["down"]]
        widths = [channels] + model["widths"]
        convs = [nn.Conv2d(i, o, 3, stride, padding=1) for i, o in zip(widths, widths[1:])]
        self.convs = numbered(self, "conv", convs)
        self.outputs, self.last_size = widths[-1], size >> len(convs)

    def head(self, z):
        return nn.Linear(self.outputs * self.last_size**2, z)

    def forward(self, x):
        for conv in self.convs:
            x = self.pool(F.relu(conv(x)))
        return x

    def features(self, x):
        return self(x).flatten(1)


class ConvolutionalDecoder(nn.Module):
    """Transposed convolutions with ReLUs between them. Their stride doubles the maps, or nearest-neighbour upsampling
    before them. `basic` has one more convolution, which keeps the size."""

    def __init__(self, model, channels, size, inputs=None):
        super().__init__()
        self.basic, self.doublings = body(model) == "basic", len(model["widths"])
        widths, side = model["widths"][::-1], size >> self.doublings
        if inputs:
            self.linear, self.shape = nn.Linear(inputs, widths[0] * side**2), (widths[0], side, side)
        if model["down"] == "pool":
            self.upsample, options = nn.Upsample(scale_factor=2), dict(kernel_size=3)
        elif self.basic:
            self.upsample, options = nn.Identity(), dict(kernel_size=3, stride=2, output_padding=1)
        else:
            self.upsample, options = nn.Identity(), dict(kernel_size=4, stride=2)
        ends = [widths[0]] + widths if self.basic else widths + [channels]
        convs = [nn.ConvTranspose2d(i, o, padding=1, **options) for i, o in zip(ends, ends[1:])]
        if self.basic:
            convs.append(nn.ConvTranspose2d(widths[-1], channels, 3, padding=1))
        self.convs = numbered(self, "conv", convs)

    def first_maps(self, z):
        x = self.linear(z).unflatten(1, self.shape)
        return x if self.basic else F.relu(x)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            x = F.relu(x) if i > 0 else x
            x = conv(self.upsample(x) if i < self.doublings else x)
        return x


ENCODERS.update(basic=ConvolutionalEncoder, conv3=ConvolutionalEncoder)
DECODERS.update(basic=ConvolutionalDecoder, conv3=ConvolutionalDecoder)
