"""The residual β-VAE in PyTorch with the same parameter names, into which load_ours.py loads the weights of `resnet18`.

Encoder names are torchvision's resnet18's. At width 64: z = 128 has 23,910,275 parameters, z = 64 23,811,843.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


def upsample(x, factor):
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class UpConv(nn.ConvTranspose2d):
    """Bilinear x2, then a 3x3 transposed convolution of stride 1, with bias."""

    def __init__(self, cin, cout):
        super().__init__(cin, cout, 3, stride=1, padding=1)

    def forward(self, x):
        return super().forward(upsample(x, 2))


class EncoderBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.downsample = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(
                nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class DecoderBlock(nn.Module):
    def __init__(self, cin, cout, up):
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(cin, cin, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cin)
        self.conv2 = UpConv(cin, cout) if up else nn.ConvTranspose2d(cin, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.upsample = nn.Sequential(UpConv(cin, cout), nn.BatchNorm2d(cout)) if up else None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.upsample is None else self.upsample(x)))


class Encoder(nn.Module):
    """(N, C, S, S) -> mu (N, z), logvar (N, z). Stem: 3x3, stride 2, no pooling."""

    def __init__(self, z, channels=3, width=64):
        super().__init__()
        w = [width, width, 2 * width, 4 * width, 8 * width]
        self.conv1 = nn.Conv2d(channels, width, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for i in range(4):
            setattr(self, f"layer{i + 1}", nn.Sequential(
                EncoderBlock(w[i], w[i + 1], 1 if i == 0 else 2), EncoderBlock(w[i + 1], w[i + 1], 1)))
        self.mu = nn.Linear(8 * width, z)
        self.logvar = nn.Linear(8 * width, z)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        x = x.mean((2, 3))
        return self.mu(x), self.logvar(x)


class Decoder(nn.Module):
    """(N, z) -> logits or pixels (N, C, S, S): the encoder's stages in reverse order."""

    def __init__(self, z, channels=3, width=64, size=32):
        super().__init__()
        self.seed_factor = size // 16
        self.linear = nn.Linear(z, 8 * width)
        w = {4: (8, 4, True), 3: (4, 2, True), 2: (2, 1, True), 1: (1, 1, False)}
        for i, (a, b, up) in w.items():
            setattr(self, f"layer{i}", nn.Sequential(
                DecoderBlock(a * width, a * width, False), DecoderBlock(a * width, b * width, up)))
        self.conv1 = UpConv(width, channels)

    def forward(self, z):
        x = self.linear(z)[:, :, None, None]
        x = upsample(x, self.seed_factor)
        for i in (4, 3, 2, 1):
            x = getattr(self, f"layer{i}")(x)
        return self.conv1(x)


class ResVae(nn.Module):
    def __init__(self, z=128, channels=3, width=64, size=32):
        super().__init__()
        self.encoder = Encoder(z, channels, width)
        self.decoder = Decoder(z, channels, width, size)

    def forward(self, x, eps=None):
        mu, logvar = self.encoder(x)
        eps = torch.randn_like(mu) if eps is None else eps
        return self.decoder(mu + torch.exp(0.5 * logvar) * eps), mu, logvar


if __name__ == "__main__":
    for z in (128, 64):
        print(z, sum(p.numel() for p in ResVae(z).parameters()))
