"""The exported decoder of a ResNet."""
from torch import nn

from model import DECODERS, body, numbered
from resnet_encoder import STAGES, ResnetBlock

# ---- exported ----


class ResnetDecoder(nn.Module):
    """The mirror image: 8ew channels, S/16 → stages layer4, layer3, layer2, layer1 → w, S/2 → images. The last block of
    each stage but layer1 doubles the size, and the input of the last convolution is doubled, too."""

    def __init__(self, model, channels, size, inputs=None):
        super().__init__()
        w, (e, counts) = model["width"], STAGES[body(model)]
        norm = nn.BatchNorm2d if model["batch_norm"] else nn.Identity
        kind = {"transposed": nn.ConvTranspose2d, "plain": nn.Conv2d}[model["decoder_conv"]]
        self.enlarge = nn.Upsample(scale_factor=2, mode=model["upsample"])  # "bilinear" or "nearest"

        def conv3x3(i, o, bias):
            return kind(i, o, 3, padding=1, bias=bias or not model["batch_norm"])

        def conv1x1(i, o):
            return nn.Conv2d(i, o, 1, bias=not model["batch_norm"])

        if inputs:
            self.linear, self.first_size = nn.Linear(inputs, 8 * e * w), size // 16
        stages = []
        for s, count in enumerate(counts):
            middle, i, blocks = w << s, e * w << s, []
            for n in range(count):
                last = n == count - 1
                doubles, o = last and s > 0, i if not last else i // 2 if s > 0 else w
                if e == 1:
                    convs, shortcut = [conv3x3(i, i, False), conv3x3(i, o, doubles)], conv3x3(i, o, True)
                else:
                    convs = [conv1x1(i, middle), conv3x3(middle, middle, False), conv1x1(middle, o)]
                    shortcut = conv1x1(i, o)
                shortcut = nn.Sequential(shortcut, norm(o)) if i != o else nn.Identity()
                enlarge = self.enlarge if doubles else nn.Identity()
                blocks.append(ResnetBlock(convs, norm, upsample=shortcut, enlarge=enlarge))
            stages.append(nn.Sequential(*blocks))
        self.stages = numbered(self, "layer", stages)
        self.conv1 = conv3x3(w, channels, True)

    def first_maps(self, z):
        return self.linear(z)[:, :, None, None].expand(-1, -1, self.first_size, self.first_size)

    def forward(self, x):
        for stage in reversed(self.stages):
            x = stage(x)
        return self.conv1(self.enlarge(x))


DECODERS.update(resnet18=ResnetDecoder, resnet50=ResnetDecoder)
