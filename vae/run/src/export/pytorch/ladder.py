"""The exported class of a hierarchical VAE, `ladder`."""
import torch
from torch import nn
from torch.nn import functional as F

from model import ENCODERS, MODELS, Model, add_variance

# ---- exported ----


class Ladder(Model):
    """A hierarchical VAE: groups of latents on maps of several sizes, each drawn after the groups before it. A row of latents
    has the groups after each other, and the prior of each is N(0, I)."""

    def __init__(self, config, data):
        super().__init__(config, data)
        model, sizes = config["model"], len(config["model"]["groups"])
        self.z_dim, self.widths = model["z_dim"], [model["width"] << (sizes - 1 - i) for i in range(sizes)]
        sides = [self.size >> (sizes - i) for i in range(sizes)]
        # The number of each group's size, and the shape of its latents.
        places = sum(count * side**2 for count, side in zip(model["groups"], sides))
        self.groups = [i for i, count in enumerate(model["groups"]) for _ in range(count)]
        self.shapes = [(self.z_dim // places, sides[i], sides[i]) for i in self.groups]
        self.encoder = LadderEncoder(self.widths, self.channels, self.groups, self.shapes[0][0])
        self.decoder = LadderDecoder(self.widths, self.channels, model["groups"], self.shapes[0])
        add_variance(self.decoder, config["loss"])

    def encode(self, images, noise=None):
        """Returns mu and logvar, [N, z] each. The posterior of a group depends on the draws of the groups before it, which are
        mu + exp(logvar / 2)·noise. Without noise, each draw is its mean."""
        features, both = self.encoder.features(self.normalise(images)), []
        noises = None if noise is None else self.split(noise)

        def draw(group, s):
            mu, logvar = self.encoder.posterior(group, s, features[self.groups[group]])
            both.append((mu.flatten(1), logvar.flatten(1)))
            return mu if noises is None else mu + (logvar / 2).exp() * noises[group]

        self.decoder(len(images), draw)
        return tuple(torch.cat(parts, 1) for parts in zip(*both))

    def decode(self, z):
        """Returns images for latents, [N, z] → [N, C, S, S]."""
        groups = self.split(z)
        return self.to_pixels(self.decoder(len(z), lambda group, _: groups[group]))

    def draw(self, count):
        """Returns latents drawn from the prior, [count, z]."""
        return torch.randn(count, self.z_dim).to(next(self.parameters()))

    def reconstruct(self, images):
        """Returns the images that are decoded from the means of all groups."""
        return self.decode(self.encode(images)[0])

    def split(self, z):
        parts = z.split([channels * height * width for channels, height, width in self.shapes], 1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes)]


class LadderCell(nn.Module):
    """A residual cell: x + conv(silu(norm(conv(silu(norm(x))))))."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(1, width), nn.Conv2d(width, width, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(1, width), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class LadderEncoder(nn.Module):
    """A convolution of stride 2 and a cell for each size, and the heads of each group."""

    def __init__(self, widths, channels, groups, latents):
        super().__init__()
        ends = [channels] + widths[::-1]
        self.down = nn.ModuleList(
            nn.ModuleDict(dict(conv=nn.Conv2d(i, o, 3, 2, 1), cell=LadderCell(o))) for i, o in zip(ends, ends[1:])
        )
        self.joint = nn.ModuleList(nn.Conv2d(2 * widths[i], widths[i], 3, padding=1) for i in groups)
        self.mu = nn.ModuleList(nn.Conv2d(widths[i], latents, 1) for i in groups)
        self.logvar = nn.ModuleList(nn.Conv2d(widths[i], latents, 1) for i in groups)

    def features(self, x):
        """Returns the maps on each size, from the smallest to the largest."""
        maps = []
        for down in self.down:
            x = down["cell"](down["conv"](x))
            maps.append(x)
        return maps[::-1]

    def posterior(self, group, s, h):
        joint = F.silu(self.joint[group](torch.cat([s, h], 1)))
        return self.mu[group](joint), self.logvar[group](joint).clamp(-30, 20)


class LadderDecoder(nn.Module):
    """From a constant through all groups to images before the output activation. draw(group, s) returns the latents of a group
    after the maps s."""

    def __init__(self, widths, channels, counts, first):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(widths[0], first[1], first[2]))
        self.scales = nn.ModuleList()
        for i, (width, count) in enumerate(zip(widths, counts)):
            scale = nn.Module()
            if i > 0:
                scale.up = nn.Conv2d(widths[i - 1], width, 3, padding=1)
            scale.groups = nn.ModuleList(
                nn.ModuleDict(dict(latents=nn.Conv2d(first[0], width, 1), cell=LadderCell(width))) for _ in range(count)
            )
            self.scales.append(scale)
        self.output = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, batch, draw):
        s, number = self.start.expand(batch, -1, -1, -1), 0
        for scale in self.scales:
            if hasattr(scale, "up"):
                s = scale.up(F.interpolate(s, scale_factor=2))
            for group in scale.groups:
                s = group["cell"](s + group["latents"](draw(number, s)))
                number += 1
        return self.output(F.interpolate(F.silu(s), scale_factor=2))


MODELS["ladder"], ENCODERS["ladder"] = Ladder, LadderEncoder
