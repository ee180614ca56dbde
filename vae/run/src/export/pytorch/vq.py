"""The exported class of a `vq` or `fsq` model."""
import torch
from torch import nn
from torch.nn import functional as F

from model import DECODERS, ENCODERS, MODELS, Model, add_variance, body

# ---- exported ----


class Vq(Model):
    """Images → maps [N, D, s, s] → one of K codes at each position → images. The codes of `vq` are a codebook, those of `fsq` the
    rounded maps."""

    def __init__(self, config, data):
        super().__init__(config, data)
        model = config["model"]
        kind = body(model)
        self.levels = torch.tensor(model["levels"]) if model["kind"] == "fsq" else None
        width = model["code_width"] if self.levels is None else len(self.levels)
        count = model["codes"] if self.levels is None else int(self.levels.prod())
        self.encoder = ENCODERS[kind](model, self.channels, self.size)
        self.encoder.code = nn.Conv2d(self.encoder.outputs, width, 1)
        self.decoder = DECODERS[kind](model, self.channels, self.size)
        self.decoder.code = nn.Conv2d(width, self.encoder.outputs, 1)
        add_variance(self.decoder, config["loss"])
        self.codebook = nn.Module()
        self.codebook.register_buffer("counts", torch.zeros(count, 1))  # only training uses it, and sums
        if self.levels is None:
            self.codebook.register_buffer("codes", torch.zeros(count, width))
            self.codebook.register_buffer("sums", torch.zeros(count, width))

    def maps(self, images):
        """Returns the maps before quantisation, [N, D, s, s]."""
        return self.encoder.code(self.encoder(self.normalise(images)))

    def encode(self, images):
        """Returns the index of the code at each position, [N, s, s]."""
        e = self.maps(images).movedim(1, -1)
        if self.levels is None:
            c = self.codebook.codes
            return (e @ c.T - c.square().sum(1) / 2).argmax(-1)  # |e − c|² is smallest where e·c − |c|²/2 is largest
        levels = self.levels.to(e.device)
        half, offset = (levels - 1) * (1 - 1e-3) / 2, 0.5 - 0.5 * (levels % 2)
        digits = ((e + torch.tan(offset / half)).tanh() * half - offset).round().long() + levels // 2
        return (digits * self.factors(levels)).sum(-1)

    def factors(self, levels):
        """Returns what one level of each number adds to the index of an `fsq` code, [D]."""
        return levels.cumprod(0) // levels

    def look_up(self, codes):
        """Returns the maps with these codes, [N, s, s] → [N, D, s, s]."""
        if self.levels is None:
            return self.codebook.codes[codes].movedim(-1, 1)
        levels = self.levels.to(codes.device)
        half = levels // 2
        digits = (codes[..., None] // self.factors(levels) % levels).to(self.decoder.code.weight)
        return ((digits - half) / half).movedim(-1, 1)

    def decode(self, codes):
        """Returns images for the indices of codes [N, s, s], or for maps [N, D, s, s]."""
        maps = codes if codes.is_floating_point() else self.look_up(codes)
        return self.to_pixels(self.decoder(F.relu(self.decoder.code(maps))))

    def reconstruct(self, images):
        """Returns the images that are decoded from their codes."""
        return self.decode(self.encode(images))


MODELS["vq"] = MODELS["fsq"] = Vq
