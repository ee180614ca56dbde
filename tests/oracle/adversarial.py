"""Writes tests/oracle/adversarial.safetensors: python tests/oracle/adversarial.py FILE

One step of a VAE-GAN (1512.09300, algorithm 1) and of a Soft-IntroVAE (2012.13253, algorithm 1) for three images: the loss of each player
on its own, and its gradients by the parameters of that player alone, in f64. Parameters have our names. The noise is what
`Batch::of_step` draws for seed 1, step 1; the test compares it.
"""
import sys
import warnings

sys.dont_write_bytecode = True
warnings.filterwarnings("ignore", category=FutureWarning)

import torch
from torch import nn
from torch.nn import functional as F

from optimizers import save

IMAGES, SIDE, HIDDEN, LATENTS = 3, 8, 5, 2
BETA, ADVERSARIAL, BETA_NEG = 0.3, 0.7, 4.0
NOISE = [
    -1.7125975, 0.38838002, 0.0013655481, -0.008710357, 0.2111496, -1.1772218, 1.2266833, 0.8909437, 0.16018088,
    -0.24508533, -0.23115468, -1.1548909, 1.1105913, 0.06525564, -0.3579429, 0.7749313, -0.7341786, 0.7994643,
]  # fmt: skip


def rounded(module):
    """Numbers that f32 represents, so that both sides start from the same."""
    for tensor in [*module.parameters(), *module.buffers()]:
        tensor.data.copy_(tensor.data.float().double())
    return module


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1, self.mu, self.logvar = nn.Linear(SIDE * SIDE, HIDDEN), nn.Linear(HIDDEN, LATENTS), nn.Linear(HIDDEN, LATENTS)

    def forward(self, x):
        x = self.linear1(x.flatten(1)).relu()
        return self.mu(x), self.logvar(x)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1, self.output = nn.Linear(LATENTS, HIDDEN), nn.Linear(HIDDEN, SIDE * SIDE)

    def forward(self, z):
        return self.output(self.linear1(z).relu()).reshape(-1, 1, SIDE, SIDE)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        norm = nn.utils.spectral_norm
        self.convs = nn.ModuleList([norm(nn.Conv2d(1, 3, 4, 2, 1)), norm(nn.Conv2d(3, 4, 4, 2, 1))])
        self.output = norm(nn.Linear(4 * (SIDE // 4) ** 2, 1))

    def forward(self, x):
        features = F.leaky_relu(self.convs[0](x), 0.2)
        return features, self.output(F.leaky_relu(self.convs[1](features), 0.2).flatten(1))


def draw(mu, logvar, eps):
    return mu + (0.5 * logvar).exp() * eps


def kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def record(tensors, name, player, module, loss, scale=1.0):
    """The gradients of a player's loss by its own parameters."""
    params = dict(module.named_parameters())
    grads = torch.autograd.grad(loss, list(params.values()), retain_graph=True)
    tensors |= {f"{name}/{player}_loss": loss * scale}
    for key, grad in zip(params, grads):
        tensors[f"{name}/d.{player}.{key.replace('weight_orig', 'weight')}"] = grad * scale


def start(tensors, name, players, x, noise):
    tensors |= {f"{name}/x": x, f"{name}/noise": noise}
    for player, module in players.items():
        tensors |= {f"{name}/{player}.{key.replace('weight_orig', 'weight')}": value.clone() for key, value in module.state_dict().items()}


def vae_gan(tensors, x):
    encoder, decoder, discriminator = [rounded(module().double()) for module in [Encoder, Decoder, Discriminator]]
    noise = torch.tensor(NOISE[: IMAGES * 2 * LATENTS]).double().reshape(IMAGES, 2 * LATENTS)
    start(tensors, "vae-gan", {"encoder": encoder, "decoder": decoder, "discriminator": discriminator}, x, noise)
    eps, drawn = noise[:, :LATENTS], noise[:, LATENTS:]
    mu, logvar = encoder(x)
    z = draw(mu, logvar, eps)
    real_features, real = discriminator(x)  # in training: one step of the power iteration
    discriminator.eval()
    decoded, generated = decoder(z).sigmoid(), decoder(drawn).sigmoid()
    decoded_features, score = discriminator(decoded)
    scores = torch.cat([score, discriminator(generated)[1]])
    features = 0.5 * ((real_features.detach() - decoded_features) ** 2).sum() / IMAGES
    ones, zeros = torch.ones_like, torch.zeros_like
    generator = F.binary_cross_entropy_with_logits(scores, ones(scores))
    gamma = 1 / ADVERSARIAL
    record(tensors, "vae-gan", "encoder", encoder, features + BETA * kl(mu, logvar).mean())
    record(tensors, "vae-gan", "decoder", decoder, gamma * features + generator, ADVERSARIAL)
    loss = 0.5 * F.binary_cross_entropy_with_logits(real, ones(real)) + 0.5 * F.binary_cross_entropy_with_logits(scores, zeros(scores))
    record(tensors, "vae-gan", "discriminator", discriminator, loss)
    tensors |= {"vae-gan/features": features, "vae-gan/generator": generator, "vae-gan/kl": kl(mu, logvar).mean()}
    tensors |= {"vae-gan/reconstruction": F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / IMAGES}


def soft_intro(tensors, x):
    encoder, decoder = [rounded(module().double()) for module in [Encoder, Decoder]]
    noise = torch.tensor(NOISE).double().reshape(IMAGES, 3 * LATENTS)
    start(tensors, "soft-intro", {"encoder": encoder, "decoder": decoder}, x, noise)
    eps, drawn, other = noise[:, :LATENTS], noise[:, LATENTS : 2 * LATENTS], noise[:, 2 * LATENTS :]
    scale = 1 / (SIDE * SIDE)

    def error(logits, x):
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3))

    # The encoder's step: images of the decoder are constants, and its parameters get no gradient.
    mu, logvar = encoder(x)
    reconstruction = error(decoder(draw(mu, logvar, eps)), x)
    fake = decoder(drawn).sigmoid().detach()
    fake_mu, fake_logvar = encoder(fake)
    fake_error = error(decoder(draw(fake_mu, fake_logvar, other)), fake)
    exp_elbo = (-2 * scale * (fake_error + BETA_NEG * kl(fake_mu, fake_logvar))).exp().mean()
    loss = scale * (reconstruction.mean() + BETA * kl(mu, logvar).mean()) + 0.5 * exp_elbo
    record(tensors, "soft-intro", "encoder", encoder, loss, 1 / scale)
    # The decoder's step: the encoder gets no gradient.
    reconstruction = error(decoder(draw(mu.detach(), logvar.detach(), eps)), x)
    kl_fake = kl(*encoder(decoder(drawn).sigmoid())).mean()
    record(tensors, "soft-intro", "decoder", decoder, scale * (reconstruction.mean() + BETA * kl_fake), 1 / scale)
    tensors |= {"soft-intro/reconstruction": reconstruction.mean(), "soft-intro/kl": kl(mu, logvar).mean()}
    tensors |= {"soft-intro/exp_elbo": exp_elbo, "soft-intro/kl_fake": kl_fake}


def main(path):
    torch.manual_seed(4)
    tensors = {}
    x = torch.rand(IMAGES, 1, SIDE, SIDE).double()
    vae_gan(tensors, x)
    soft_intro(tensors, x)
    save(path, {name: value.detach().float().contiguous() for name, value in tensors.items()})


if __name__ == "__main__":
    main(sys.argv[1])
