"""The residual β-VAE `resnet18` of this repository, in PyTorch, with the same parameter names: what speed is compared with."""
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
    """A block of the decoder; one that narrows also doubles the image."""

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
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decoder(twice(self.linear(z)[:, :, None, None], self.seed)), mu, logvar


def kl(mu, logvar):
    """Summed over latents, averaged over images."""
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum() / len(mu)


if __name__ == "__main__":
    assert sum(p.numel() for p in ResVae().parameters()) == 23_910_275
    print("23,910,275 parameters at z = 128")
