"""This repository's models in PyTorch, for comparisons of speed. Their parameters have PyTorch's names."""
import torch
from torch import nn
from torch.nn import functional as F


def twice(x, factor=2):
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class Up(nn.ConvTranspose2d):
    def forward(self, x):
        return super().forward(twice(x))


def conv(i, o, kernel=3, stride=1):
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)


class Down(nn.Module):
    """A block of the encoder."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o), nn.BatchNorm2d(o)
        self.downsample = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o)) if stride > 1 or i != o else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class Back(nn.Module):
    """A block of the decoder. If it has fewer output than input channels, it also doubles the size of the image."""

    def __init__(self, i, o, up):
        super().__init__()
        self.conv1, self.bn1 = nn.ConvTranspose2d(i, i, 3, 1, 1, bias=False), nn.BatchNorm2d(i)
        self.conv2 = Up(i, o, 3, 1, 1) if up else nn.ConvTranspose2d(i, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.upsample = nn.Sequential(Up(i, o, 3, 1, 1), nn.BatchNorm2d(o)) if up else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.upsample(x))


class ResVae(nn.Module):
    def __init__(self, z=128, channels=3, width=64, size=32):
        super().__init__()
        w, self.seed = [width, width, 2 * width, 4 * width, 8 * width], size // 16
        down = [m for a, b, s in zip(w, w[1:], (1, 2, 2, 2)) for m in (Down(a, b, s), Down(b, b, 1))]
        self.encoder = nn.Sequential(conv(channels, width, 3, 2), nn.BatchNorm2d(width), nn.ReLU(), *down)
        self.mu, self.logvar, self.linear = nn.Linear(w[4], z), nn.Linear(w[4], z), nn.Linear(z, w[4])
        up = [m for a, b in ((8, 4), (4, 2), (2, 1)) for m in (Back(a * width, a * width, False), Back(a * width, b * width, True))]
        up += [Back(width, width, False), Back(width, width, False)]
        self.decoder = nn.Sequential(*up, Up(width, channels, 3, 1, 1))

    def forward(self, x):
        h = self.encoder(x).mean((2, 3))
        mu, logvar = self.mu(h), self.logvar(h)
        return self.decoder(twice(self.linear(draw(mu, logvar))[:, :, None, None], self.seed)), mu, logvar


def draw(mu, logvar, eps=None):
    return mu + torch.exp(0.5 * logvar) * (torch.randn_like(mu) if eps is None else eps)


def known(k, shape):
    """The numbers of the k-th tensor, the same in all libraries of compare_peers.sh."""
    return torch.sin((torch.arange(shape.numel(), dtype=torch.float64) + k) ** 2).float().reshape(shape)


class Plain(nn.Module):
    """`basic` and `conv3`: convolutions, one linear layer to the latents and one back, transposed convolutions."""

    def __init__(self, z, channels, size, widths, up):
        super().__init__()
        pairs = zip([channels, *widths], widths)
        self.encoder = nn.Sequential(*(m for i, o in pairs for m in (nn.Conv2d(i, o, 3, 2, 1), nn.ReLU())), nn.Flatten())
        side = size // 2 ** len(widths)
        self.heads = nn.Linear(widths[-1] * side * side, 2 * z)
        self.linear = nn.Linear(z, widths[-1] * side * side)
        self.decoder = nn.Sequential(nn.Unflatten(1, (widths[-1], side, side)), *up)

    def forward(self, x, eps=None):
        mu, logvar = self.heads(self.encoder(x)).chunk(2, 1)
        return self.decoder(self.linear(draw(mu, logvar, eps))), mu, logvar

    def fill(self):
        """Fills the parameters with the same numbers as the other libraries, in the order in which those create them."""
        heads = (part for i in (0, 1) for part in (self.heads.weight.chunk(2)[i], self.heads.bias.chunk(2)[i]))
        with torch.no_grad():
            for k, p in enumerate((*self.encoder.parameters(), *heads, *self.linear.parameters(), *self.decoder.parameters())):
                p.copy_(known(k, p.shape) / p[0].numel() ** 0.5)


def basic():
    up = nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(32, 3, 3, 1, 1)
    return Plain(20, 3, 32, [32, 64], up)


def conv3():
    up = nn.ReLU(), nn.ConvTranspose2d(256, 128, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(64, 3, 4, 2, 1)
    return Plain(20, 3, 64, [64, 128, 256], up)


class SkipBlock(nn.Module):
    """Two convolutions with a convolution as shortcut. Halves the size of the maps, or enlarges them."""

    def __init__(self, i, o, factor):
        super().__init__()
        self.factor = factor
        self.conv1, self.bn1 = nn.Conv2d(i, o // 2, 3, 1, 1), nn.BatchNorm2d(o // 2)
        self.conv2, self.bn2 = nn.Conv2d(o // 2, o, 3, 1, 1), nn.BatchNorm2d(o)
        self.shortcut = nn.Conv2d(i, o, 3, 1, 1)

    def forward(self, x):
        act = lambda x: F.leaky_relu(x, 11 / 48)
        if self.factor > 0:
            x = F.interpolate(x, scale_factor=self.factor)
        y = act(self.bn1(self.conv1(x)))
        if self.factor == 0:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return act(self.bn2(self.conv2(y)) + self.shortcut(x))


class Skip(nn.Module):
    def __init__(self, z=512, channels=3, w=64, seed=4):
        super().__init__()
        self.encoder = nn.Sequential(*(SkipBlock(i, o, 0) for i, o in ((channels, w), (w, 2 * w), (2 * w, 4 * w), (4 * w, 8 * w))))
        self.mu, self.logvar = nn.Conv2d(8 * w, z, seed), nn.Conv2d(8 * w, z, seed)
        ups = (z, 8 * w, seed), (8 * w, 4 * w, 2), (4 * w, 2 * w, 2), (2 * w, w, 2), (w, w // 2, 2)
        self.decoder = nn.Sequential(*(SkipBlock(*up) for up in ups), nn.Conv2d(w // 2, channels, 3, 1, 1))

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h).flatten(1), self.logvar(h).flatten(1)
        return self.decoder(draw(mu, logvar)[:, :, None, None]), mu, logvar


# The models with the size of their images, which have three channels.
MODELS = {"resnet18": (ResVae, 32), "basic": (basic, 32), "conv3": (conv3, 64), "skip": (Skip, 64)}

def kl(mu, logvar):
    """The KL summed over latents, averaged over images."""
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum() / len(mu)


if __name__ == "__main__":
    for (name, (model, _)), count in zip(MODELS.items(), (23_910_275, 325_547, 2_028_907, 19_753_331)):
        assert sum(p.numel() for p in model().parameters()) == count, name
        print(name, count)
