"""The exported class of a `vq` model."""
import torch
from torch import nn
from torch.nn import functional as F

from model import DECODERS, ENCODERS, MODELS, Model, add_variance, body

# ---- exported ----


class Vq(Model):
    """A VQ-VAE: images → maps [N, D, s, s] → the nearest of K codes at each position → images."""

    def __init__(self, config, data):
        super().__init__(config, data)
        model = config["model"]
        kind = body(model)
        self.encoder = ENCODERS[kind](model, self.channels, self.size)
        self.encoder.code = nn.Conv2d(self.encoder.outputs, model["code_width"], 1)
        self.decoder = DECODERS[kind](model, self.channels, self.size)
        self.decoder.code = nn.Conv2d(model["code_width"], self.encoder.outputs, 1)
        add_variance(self.decoder, config["loss"])
        self.codebook = nn.Module()
        for name, width in [("codes", model["code_width"]), ("counts", 1), ("sums", model["code_width"])]:
            self.codebook.register_buffer(name, torch.zeros(model["codes"], width))  # only training uses the last two

    def maps(self, images):
        """Returns the maps before quantisation, [N, D, s, s]."""
        return self.encoder.code(self.encoder(self.normalise(images)))

    def encode(self, images):
        """Returns the index of the nearest code at each position, [N, s, s]."""
        e, c = self.maps(images).movedim(1, -1), self.codebook.codes
        return (e @ c.T - c.square().sum(1) / 2).argmax(-1)  # |e − c|² is smallest where e·c − |c|²/2 is largest

    def decode(self, codes):
        """Returns images for the indices of codes [N, s, s], or for maps [N, D, s, s]."""
        maps = codes if codes.is_floating_point() else self.codebook.codes[codes].movedim(-1, 1)
        return self.to_pixels(self.decoder(F.relu(self.decoder.code(maps))))

    def reconstruct(self, images):
        """Returns the images that are decoded from their codes."""
        return self.decode(self.encode(images))


MODELS["vq"] = Vq
