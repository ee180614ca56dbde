"""The exported class of a VAE."""
import torch
from torch import nn
from torch.nn import functional as F

from model import DECODERS, ENCODERS, MODELS, Model, add_variance, body

# ---- exported ----


class Vae(Model):
    """A variational autoencoder: images → q(z|x) = N(mu, exp(logvar)) → z → images. Samples: decode(draw(N)).
    A conditional model also needs the label of each image: encode(images, labels), decode(z, labels)."""

    def __init__(self, config, data):
        super().__init__(config, data)
        model = config["model"]
        self.z_dim = model["z_dim"]
        self.classes = config["data"]["classes"] if model["conditional"] else 0
        moved = config["loss"]["kind"] == "csvae"  # the label moves the last latents, and encoder and decoder do not see it
        seen = 0 if moved else self.classes
        kind = body(model)
        self.encoder = ENCODERS[kind](model, self.channels + seen, self.size)
        self.encoder.mu, self.encoder.logvar = (self.encoder.head(model["z_dim"]) for _ in range(2))
        self.decoder = DECODERS[kind](model, self.channels, self.size, model["z_dim"] + seen)
        if model["prior"] == "vamp":  # the mixture of the posteriors of pseudo-inputs; "standard" is N(0, I)
            self.prior = nn.Module()
            shape = model["pseudo_inputs"], self.channels, self.size, self.size
            self.prior.pseudo_inputs = nn.Parameter(torch.zeros(shape))
            self.normalisation = config["data"]["normalise"]
        if moved:
            self.subspace = nn.Module()
            self.subspace.centres = nn.Parameter(torch.zeros(self.classes, config["loss"]["subspace"]))
        add_variance(self.decoder, config["loss"])

    def encode(self, images, labels=None):
        """Returns mu and logvar, [N, z] each."""
        x = self.normalise(images)
        moved = hasattr(self, "subspace")
        if self.classes and not moved:  # a plane for each label: 1 for the image's own, 0 for the others
            planes = self.one_hot(labels, x)[:, :, None, None].expand(-1, -1, self.size, self.size)
            x = torch.cat([x, planes], 1)
        features = self.encoder.features(x)
        mu, logvar = self.encoder.mu(features).flatten(1), self.encoder.logvar(features).flatten(1).clamp(-30, 20)
        return mu - self.centre(labels, mu) if moved else mu, logvar

    def decode(self, z, labels=None):
        """Returns images for latents, [N, z] → [N, C, S, S]."""
        if hasattr(self, "subspace"):
            z = z + self.centre(labels, z)
        elif self.classes:
            z = torch.cat([z, self.one_hot(labels, z)], 1)
        return self.to_pixels(self.decoder(self.decoder.first_maps(z)))

    def draw(self, count):
        """Returns latents drawn from the prior, [count, z]."""
        noise = torch.randn(count, self.z_dim).to(next(self.parameters()))
        if not hasattr(self, "prior"):
            return noise
        w = self.prior.pseudo_inputs
        low, high = {"unit": (0, 1), "symmetric": (-1, 1)}.get(self.normalisation, (None, None))
        features = self.encoder.features(w if low is None else low + (high - low) * w.sigmoid())
        mu, logvar = self.encoder.mu(features).flatten(1), self.encoder.logvar(features).flatten(1).clamp(-30, 20)
        chosen = torch.randint(len(w), (count,), device=w.device)
        return mu[chosen] + (logvar[chosen] / 2).exp() * noise

    def reconstruct(self, images, labels=None):
        """Returns the images that are decoded from z = mu."""
        return self.decode(self.encode(images, labels)[0], labels)

    def centre(self, labels, like):
        """Returns the centre of the prior of each label, [N, z]."""
        centres = self.subspace.centres
        return self.one_hot(labels, like) @ F.pad(centres, (self.z_dim - centres.shape[1], 0))

    def one_hot(self, labels, like):
        if labels is None:
            raise ValueError(f"the model is conditional: give the label of each image, from 0 to {self.classes - 1}")
        return F.one_hot(torch.as_tensor(labels, dtype=torch.int64, device=like.device), self.classes).to(like)


MODELS.update(dict.fromkeys(["resnet18", "resnet50", "vgg11", "vgg16", "alexnet", "basic", "conv3", "skip", "dense"], Vae))
