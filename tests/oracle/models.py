"""Writes golden files of models: python tests/oracle/models.py tests/fixtures

Each is a small model in PyTorch, in f64, written from the papers and not from the Rust code. Parameters have the names of the
Rust model. A file contains the weights (init.…), a batch (x, eps or labels), the outputs (mu, logvar, xhat, or logits), the loss
(sse + KL, or cross-entropy) and the norm of every parameter's gradient (norm.…). Metadata: `model`, its settings and whether it
is in training mode (resnet50 is not, because its fifty norms of a few elements would magnify the rounding of f32; resnet18 is
not, because it has golden training runs).

names_resnet18.txt lists the tensors in a state dict of resnet18 (width 2, z 3, one channel) and of its parts: part, name, dtype, shape.
"""
import json
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from resvae import Decoder as ResnetDecoder
from resvae import ResVae

torch.set_default_dtype(torch.float64)


class Heads(nn.Module):
    """An encoder whose features are flattened and become two vectors."""

    def heads(self, features, z):
        self.mu, self.logvar = nn.Linear(features, z), nn.Linear(features, z)

    def both(self, h):
        h = h.flatten(1)
        return self.mu(h), self.logvar(h).clamp(-30, 20)


def numbered(module, name, layers):
    for i, layer in enumerate(layers, 1):
        setattr(module, f"{name}{i}", layer)
    return layers


class PlainEncoder(Heads):
    def __init__(self, widths, size, z):
        super().__init__()
        self.convs = [nn.Conv2d(i, o, 3, 2, 1) for i, o in zip([1] + widths, widths)]
        numbered(self, "conv", self.convs)
        self.heads(widths[-1] * (size >> len(widths)) ** 2, z)

    def forward(self, x):
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.both(x)


class BasicDecoder(nn.Module):
    def __init__(self, widths, size, z):
        super().__init__()
        a, b = widths
        self.linear, self.shape = nn.Linear(z, b * (size // 4) ** 2), (b, size // 4, size // 4)
        up = lambda i, o: nn.ConvTranspose2d(i, o, 3, 2, 1, output_padding=1)
        self.conv1, self.conv2, self.conv3 = up(b, b), up(b, a), nn.ConvTranspose2d(a, 1, 3, 1, 1)

    def forward(self, z):
        x = self.linear(z).view(-1, *self.shape)
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))


class Conv3Decoder(nn.Module):
    def __init__(self, widths, size, z):
        super().__init__()
        a, b, c = widths
        self.linear, self.shape = nn.Linear(z, c * (size // 8) ** 2), (c, size // 8, size // 8)
        self.conv1, self.conv2, self.conv3 = (nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in ((c, b), (b, a), (a, 1)))

    def forward(self, z):
        x = F.relu(self.linear(z)).view(-1, *self.shape)
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))


class DenseEncoder(Heads):
    def __init__(self, hidden, size, z):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(size * size, hidden), nn.Linear(hidden, hidden)
        self.heads(hidden, z)

    def forward(self, x):
        return self.both(F.relu(self.linear2(F.relu(self.linear1(x.flatten(1))))))


class DenseDecoder(nn.Module):
    def __init__(self, hidden, size, z):
        super().__init__()
        self.linear1, self.linear2, self.output = nn.Linear(z, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, size * size)
        self.size = size

    def forward(self, z):
        return self.output(F.relu(self.linear2(F.relu(self.linear1(z))))).view(-1, 1, self.size, self.size)


SLOPE = 11 / 48


class TwoConv(nn.Module):
    """A block of skip: down (up = 0), or up by a factor."""

    def __init__(self, i, o, up):
        super().__init__()
        h, self.up = o // 2 + o % 2, up
        self.conv1, self.bn1 = nn.Conv2d(i, h, 3, 1, 1), nn.BatchNorm2d(h)
        self.conv2, self.bn2 = nn.Conv2d(h, o, 3, 1, 1), nn.BatchNorm2d(o)
        self.shortcut = nn.Conv2d(i, o, 3, 1, 1)

    def forward(self, x):
        if self.up:
            x = F.interpolate(x, scale_factor=self.up)
        y = F.leaky_relu(self.bn1(self.conv1(x)), SLOPE)
        if not self.up:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return F.leaky_relu(self.bn2(self.conv2(y)) + self.shortcut(x), SLOPE)


class PreActivation(nn.Module):
    def __init__(self, i, o, up):
        super().__init__()
        self.up = up
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, 1 if up else 2, 1), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1), nn.BatchNorm2d(o)

    def forward(self, x):
        h = self.conv1(F.interpolate(x, scale_factor=self.up) if self.up else x)
        return h + self.bn2(self.conv2(F.leaky_relu(self.bn1(h), SLOPE)))


class SkipEncoder(nn.Module):
    def __init__(self, block, w, size, z):
        super().__init__()
        widths = [1, w, 2 * w, 4 * w, 8 * w]
        self.blocks = numbered(self, "down", [block(i, o, 0) for i, o in zip(widths, widths[1:])])
        self.mu, self.logvar = nn.Conv2d(8 * w, z, size // 16), nn.Conv2d(8 * w, z, size // 16)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.mu(x).flatten(1), self.logvar(x).flatten(1).clamp(-30, 20)


class SkipDecoder(nn.Module):
    def __init__(self, block, w, size, z):
        super().__init__()
        self.seed, self.first = size // 16, block is TwoConv
        ends = [(8 * w, 4 * w, 2), (4 * w, 2 * w, 2), (2 * w, w, 2), (w, w // 2 if self.first else w, 2)]
        if self.first:
            ends = [(z, 8 * w, self.seed)] + ends
        else:
            self.linear = nn.Linear(z, 8 * w * self.seed**2)
        self.blocks = numbered(self, "up", [block(*end) for end in ends])
        self.conv1 = nn.Conv2d(ends[-1][1], 1, 3, 1, 1)

    def forward(self, z):
        x = z[:, :, None, None] if self.first else self.linear(z).view(len(z), -1, self.seed, self.seed)
        for block in self.blocks:
            x = block(x)
        return self.conv1(x)


class Residual(nn.Module):
    """Convolutions with norms and a shortcut: torchvision's BasicBlock and Bottleneck, and their transposed forms."""

    def __init__(self, convs, around, name):
        super().__init__()
        self.convs = numbered(self, "conv", convs)
        self.norms = numbered(self, "bn", [nn.BatchNorm2d(width(conv)) for conv in convs])
        way = nn.Sequential(around, nn.BatchNorm2d(width(around))) if around else nn.Identity()
        setattr(self, name, way)
        self.around = [way]  # in a list, so that it is not registered a second time

    def forward(self, x):
        y = x
        for conv, norm in zip(self.convs[:-1], self.norms):
            y = F.relu(norm(conv(y)))
        return F.relu(self.norms[-1](self.convs[-1](y)) + self.around[0](x))


class Twice(nn.Module):
    """Bilinear ×2 in front of a convolution, with the parameter names of the convolution."""

    def __init__(self, conv):
        super().__init__()
        self.conv = [conv]
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, x):
        return self.conv[0](F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))


def width(conv):
    conv = conv.conv[0] if isinstance(conv, Twice) else conv
    return conv.out_channels


def conv(i, o, kernel, stride=1):
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)


class ResidualEncoder(Heads):
    """ResNet-50's (expansion 4) or ResNet-18's (1), with the small stem."""

    def __init__(self, w, expansion, counts):
        super().__init__()
        self.conv1, self.bn1 = conv(1, w, 3, 2), nn.BatchNorm2d(w)
        i, self.stages = w, []
        for s, count in enumerate(counts):
            m, blocks = w << s, []
            for n in range(count):
                o, stride = m * expansion, 2 if n == 0 and s else 1
                convs = [conv(i, m, 3, stride), conv(m, o, 3)]
                if expansion > 1:
                    convs = [conv(i, m, 1), conv(m, m, 3, stride), conv(m, o, 1)]
                blocks.append(Residual(convs, conv(i, o, 1, stride) if stride > 1 or i != o else None, "downsample"))
                i = o
            self.stages.append(nn.Sequential(*blocks))
        numbered(self, "layer", self.stages)
        self.features = i

    def trunk(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3))

    def forward(self, x):
        return self.both(self.trunk(x))


class Resnet50Decoder(nn.Module):
    def __init__(self, w, size, z):
        super().__init__()
        self.linear, self.seed, self.stages = nn.Linear(z, 32 * w), size // 16, []
        flipped = lambda i, o: nn.ConvTranspose2d(i, o, 3, 1, 1, bias=False)
        for s, count in ((3, 3), (2, 6), (1, 4), (0, 3)):
            i, m, blocks = 4 * (w << s), w << s, []
            for n in range(count):
                last = n == count - 1
                o = (i // 2 if s else w) if last else i
                middle, around = flipped(m, m), conv(i, o, 1)
                if last and s:
                    middle, around = Twice(middle), Twice(around)
                blocks.append(Residual([conv(i, m, 1), middle, conv(m, o, 1)], around if last else None, "upsample"))
            self.stages.append(nn.Sequential(*blocks))
            setattr(self, f"layer{s + 1}", self.stages[-1])
        self.conv1 = Twice(nn.ConvTranspose2d(w, 1, 3, 1, 1))

    def forward(self, z):
        x = self.linear(z)[:, :, None, None].expand(-1, -1, self.seed, self.seed)
        for stage in self.stages:
            x = stage(x)
        return self.conv1(x)


class Vae(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


class VggEncoder(Heads):
    """The convolutions of torchvision's vgg11, vgg16 (with norms: vgg11_bn, …) and alexnet, whose widths are multiples of w."""

    PLANS = {"vgg11": "1M2M44M88M88M", "vgg16": "11M22M444M888M888M"}

    def __init__(self, kind, w, z, norm):
        super().__init__()
        layers, i = [], 1
        if kind == "alexnet":
            for e, kernel, stride, padding, pooled in [(1, 11, 4, 2, 1), (3, 5, 1, 2, 1), (6, 3, 1, 1, 0), (4, 3, 1, 1, 0), (4, 3, 1, 1, 1)]:
                layers += [nn.Conv2d(i, e * w, kernel, stride, padding), nn.ReLU()] + [nn.MaxPool2d(3, 2)] * pooled
                i = e * w
        else:
            for step in self.PLANS[kind]:
                if step == "M":
                    layers.append(nn.MaxPool2d(2, 2))
                    continue
                layers += [nn.Conv2d(i, int(step) * w, 3, padding=1)] + [nn.BatchNorm2d(int(step) * w)] * norm + [nn.ReLU()]
                i = int(step) * w
        self.features = nn.Sequential(*layers)
        for conv in self.features:  # as torchvision does; with PyTorch's default, so many convolutions without norms lose the image
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        self.heads(i, z)

    def forward(self, x):
        return self.both(self.features(x).mean((2, 3)))


class Classifier(ResidualEncoder):
    def __init__(self, w):
        super().__init__(w, 1, (2, 2, 2, 2))
        self.fc = nn.Linear(self.features, 10)

    def forward(self, x):
        return self.fc(self.trunk(x))


SPREAD = 0.02
LEAST_VARIANCE = 0.25


def spread(x):
    """How much outputs [batch, ...] vary over images and over pixels: standard deviations, relative to the largest number."""
    x = x.flatten(1)
    return [((x - x.mean(dim, keepdim=True)) ** 2).mean().sqrt() / x.abs().max() for dim in (0, 1)]


def write(folder, name, settings, model, size, z=3, batch=4, training=True):
    generator = torch.Generator().manual_seed(7)
    exact = lambda: [p.copy_(p.float().double()) for p in model.state_dict().values()]  # numbers that f32 represents
    with torch.no_grad():  # norms far from the identity
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.uniform_(-0.5, 0.5, generator=generator)
            norm.running_mean.uniform_(-0.5, 0.5, generator=generator)
            norm.running_var.uniform_(0.5, 1.5, generator=generator)
        exact()
    x = torch.rand(batch, 1, size, size, generator=generator).float().double()
    made = {"x": x}
    if isinstance(model, Classifier):
        made["labels"] = torch.tensor([3.0, 0.0, 9.0, 3.0])
    else:
        made["eps"] = torch.randn(batch, z, generator=generator).float().double()

    def outputs():
        if isinstance(model, Classifier):
            return {"logits": model(x)}
        mu, logvar = model.encoder(x)
        return {"mu": mu, "logvar": logvar, "xhat": model.decoder(mu + (logvar / 2).exp() * made["eps"])}

    def calibrate(norm, inputs):
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3)).clamp(min=LEAST_VARIANCE))

    # With random running statistics the maps of a deep model die out, and its output is the last bias. So the statistics of a
    # model that is not in training mode are those of its batch. Small variances would magnify the rounding of f32.
    model.train(training)
    if not training:
        with torch.no_grad():
            hooks = [norm.register_forward_pre_hook(calibrate) for norm in norms]
            outputs()
            exact()
            for hook in hooks:
                hook.remove()
    tensors = {f"init.{k}": v.clone() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    made |= outputs()
    for output in ("mu", "logvar", "xhat", "logits"):
        over_images, over_pixels = spread(made[output]) if output in made else (1, 1)
        if over_images < SPREAD or (output == "xhat" and over_pixels < SPREAD):
            sys.exit(f"{name}: {output} is the same for every image or pixel, so the file would test nothing")
    if isinstance(model, Classifier):
        made["loss"] = F.cross_entropy(made["logits"], made["labels"].long())
    else:
        kl = -0.5 * (1 + made["logvar"] - made["mu"] ** 2 - made["logvar"].exp()).sum(1)
        made["loss"] = ((made["xhat"] - x) ** 2).sum((1, 2, 3)).mean() + kl.mean()
    made["loss"].backward()
    made.update({f"norm.{k}": p.grad.norm() for k, p in model.named_parameters()})
    tensors = {k: v.detach().float().contiguous() for k, v in {**tensors, **made}.items()}
    settings = [f"data.image_size={size}", "data.channels=1", f"model.z_dim={z}"] + settings
    save_file(tensors, f"{folder}/model_{name}.safetensors", {"model": json.dumps({"settings": settings, "training": training})})


def main(folder):
    torch.manual_seed(5)
    write(folder, "basic", ["model.kind=basic", "model.widths=4,6"], Vae(PlainEncoder([4, 6], 12, 3), BasicDecoder([4, 6], 12, 3)), 12)
    write(folder, "conv3", ["model.kind=conv3", "model.widths=3,4,5"], Vae(PlainEncoder([3, 4, 5], 16, 3), Conv3Decoder([3, 4, 5], 16, 3)), 16)
    write(folder, "dense", ["model.kind=dense", "model.hidden=9", "model.layers=2"], Vae(DenseEncoder(9, 7, 3), DenseDecoder(9, 7, 3)), 7)
    for name, block in (("two-conv", TwoConv), ("pre-activation", PreActivation)):
        settings = ["model.kind=skip", "model.width=2", f"model.block={name}"]
        write(folder, f"skip_{name}", settings, Vae(SkipEncoder(block, 2, 32, 3), SkipDecoder(block, 2, 32, 3)), 32)
    encoder = ResidualEncoder(1, 4, (3, 4, 6, 3))
    encoder.heads(encoder.features, 3)
    write(folder, "resnet50", ["model.kind=resnet50", "model.width=1"], Vae(encoder, Resnet50Decoder(1, 32, 3)), 32, training=False)
    write(folder, "classifier", ["model.kind=classifier", "model.width=2"], Classifier(2), 32)
    resnet18 = ResVae(3, 1, 2)
    write(folder, "resnet18", ["model.kind=resnet18", "model.width=2"], resnet18, 32, training=False)
    for kind, width, size, norm in (("vgg11", 3, 32, 1), ("vgg16", 2, 32, 1), ("alexnet", 4, 64, 0)):
        settings = [f"model.kind={kind}", f"model.width={width}"]
        model = Vae(VggEncoder(kind, width, 3, norm), ResnetDecoder(3, 1, width, size))
        write(folder, kind, settings, model, size, training=False)
    lines = []
    for part, module in (("model", resnet18), ("encoder", resnet18.encoder), ("decoder", resnet18.decoder)):
        for name, tensor in sorted(module.float().state_dict().items()):
            lines.append(f"{part} {name} {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}")
    with open(f"{folder}/names_resnet18.txt", "w") as file:
        file.write("\n".join(lines) + "\n")


main(sys.argv[1])
