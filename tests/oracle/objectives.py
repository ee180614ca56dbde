"""Writes tests/oracle/objectives.safetensors: python tests/oracle/objectives.py FILE

Objectives and their gradients in f64. Under `learned/` and `optimal/` are the Gaussian likelihoods of the σ-VAE (2006.13202), as its
authors' code has them (github.com/orybkin/sigma-vae-pytorch): softclip, and the logarithm of the root of the mean squared error. The
latter is here without softclip, which moves the optimum.

Under `iwae/` are importance weighted bounds (1509.00519) for a linear encoder and a linear decoder of binary pixels, with K draws in
each of M bounds: `MxK/plain` by automatic differentiation, `MxK/dreg` by the doubly reparameterised estimator (1810.04152), in which the
posterior's parameters are constants in ln q and a hook multiplies the gradient of each draw by its normalised weight.
"""
import math
import sys

sys.dont_write_bytecode = True

import torch
from torch.distributions import Bernoulli, Normal
from torch.nn import functional as F

from optimizers import save

IMAGES, PIXELS, LATENTS = 3, 6, 2


def softclip(tensor, least):
    return least + F.softplus(tensor - least)


def gaussian_nll(mu, log_sigma, x):
    return 0.5 * torch.pow((x - mu) / log_sigma.exp(), 2) + log_sigma + 0.5 * math.log(2 * math.pi)


def random(*shape):
    """Numbers that f32 represents, so that both sides start from the same."""
    return torch.randn(shape).float().double()


def sigma_vae(tensors):
    x, decoded = random(IMAGES, 1, 2, 3), random(IMAGES, 1, 2, 3)
    tensors |= {"x": x, "decoded": decoded}
    for i, start in enumerate([0.3, -5.5]):
        mu, s = decoded.clone().requires_grad_(), torch.tensor([start]).double().requires_grad_()
        loss = gaussian_nll(mu, softclip(s, -6), x).sum() / IMAGES
        loss.backward()
        tensors |= {f"learned/{i}/s": s, f"learned/{i}/loss": loss, f"learned/{i}/d.decoded": mu.grad, f"learned/{i}/d.s": s.grad}
    mu = decoded.clone().requires_grad_()
    loss = gaussian_nll(mu, ((x - mu) ** 2).mean([0, 1, 2, 3], keepdim=True).sqrt().log(), x).sum() / IMAGES
    loss.backward()
    tensors |= {"optimal/loss": loss, "optimal/d.decoded": mu.grad}


def iwae(tensors):
    x = (torch.rand(IMAGES, PIXELS) < 0.4).double()
    start = {
        "mu": random(IMAGES, LATENTS),
        "logvar": 0.5 * random(IMAGES, LATENTS),
        "weight": random(PIXELS, LATENTS),
        "bias": random(PIXELS),
    }
    start = {name: value.float().double() for name, value in start.items()}
    tensors |= {f"iwae/{name}": value for name, value in start.items()} | {"iwae/x": x}
    for bounds, samples in [(1, 1), (1, 5), (2, 3), (4, 1)]:
        eps = random(IMAGES, bounds * samples, LATENTS)
        for gradient in ["plain", "dreg"]:
            leaf = {name: value.clone().requires_grad_() for name, value in start.items()}
            mu, std = leaf["mu"][:, None], (0.5 * leaf["logvar"]).exp()[:, None]
            z = mu + std * eps
            q = Normal(mu.detach(), std.detach()) if gradient == "dreg" else Normal(mu, std)
            log_p = Bernoulli(logits=z @ leaf["weight"].T + leaf["bias"]).log_prob(x[:, None]).sum(2)
            log_w = log_p + Normal(0, 1).log_prob(z).sum(2) - q.log_prob(z).sum(2)
            log_w = log_w.reshape(IMAGES, bounds, samples)
            loss = -(log_w.logsumexp(2) - math.log(samples)).mean()
            if gradient == "dreg":
                with torch.no_grad():
                    weights = log_w.softmax(2).reshape(IMAGES, bounds * samples, 1)
                z.register_hook(lambda dz: dz * weights)
            loss.backward()
            name = f"iwae/{bounds}x{samples}"
            tensors |= {f"{name}/eps": eps, f"{name}/loss": loss, f"{name}/log_w": log_w}
            tensors |= {f"{name}/{gradient}/d.{key}": value.grad for key, value in leaf.items()}


def main(path):
    torch.manual_seed(3)
    tensors = {}
    sigma_vae(tensors)
    iwae(tensors)
    save(path, {name: value.detach().float().contiguous() for name, value in tensors.items()})


if __name__ == "__main__":
    main(sys.argv[1])
