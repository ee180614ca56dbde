"""A model of `vae export --with-module`, in PyTorch. Nothing else is needed.

    model = load("model.safetensors")
    images = model.reconstruct(images)     # [N, channels, size, size], pixels from 0 (black) to 1
    model.class_names                      # of the labels; empty if they have none

The methods encode and decode are described in the class of the model. The file of weights contains the configuration, and
the mean and standard deviation by which pixels become model input. Its tensors have the names of the layers here. In the
comments, N is the number of images, C that of their channels, S their side in pixels, z the number of latents, and w is
model.width.
"""
import json
import struct
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

# The classes below, by kind of model. An encoder called with images returns its last maps; features(images) is the input
# of its heads, and head(z) makes one. A decoder called with its first maps returns images before the output activation;
# first_maps(z) makes them from latents.
MODELS, ENCODERS, DECODERS = {}, {}, {}


def load(path):
    """Returns the model in a file that `vae export` wrote, in evaluation mode."""
    metadata, tensors = read(path)
    if "vae" not in metadata:
        raise ValueError(f"{path}: was not written by `vae export`")
    export = json.loads(metadata["vae"])
    if export["part"] != "model":
        raise ValueError(f"{path}: contains the {export['part']} only; export the whole model")
    if export.get("data") is None:
        raise ValueError(f"{path}: does not say how images become model input, because its run is of an older version")
    kind = export["config"]["model"]["kind"]
    if kind not in MODELS or body(export["config"]["model"]) not in ENCODERS:
        raise ValueError(f"{path}: is another kind of model, {kind}; export it again with --with-module")
    model = MODELS[kind](export["config"], export["data"])
    # A classifier's tensors have the names of torchvision, which have no prefix.
    (model.encoder if kind == "classifier" else model).load_state_dict(tensors, strict=True)
    return model.eval()


def read(path):
    """Returns the metadata and the tensors of a safetensors file: length of the header, header in JSON, numbers."""
    file = bytearray(Path(path).read_bytes())
    (length,) = struct.unpack_from("<Q", file)
    header, numbers = json.loads(file[8 : 8 + length]), memoryview(file)[8 + length :]
    metadata, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = {"F32": torch.float32, "I64": torch.int64}[entry["dtype"]]
        tensors[name] = torch.frombuffer(numbers[begin:end], dtype=dtype).reshape(entry["shape"])
    return metadata, tensors


class Model(nn.Module):
    """What every kind of model has: pixels become model input, and the decoder's output becomes pixels."""

    def __init__(self, config, data):
        super().__init__()
        self.class_names, self.channels, self.size = data["class_names"], data["channels"], data["image_size"]
        for name in ("mean", "std"):  # one number for each channel
            numbers = torch.tensor(data[name], dtype=torch.float32).reshape(-1, 1, 1)
            self.register_buffer(name, numbers, persistent=False)
        self.output = {"linear": nn.Identity(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh()}[data["output"]]

    def normalise(self, images):
        """Converts pixels from 0 to 1 to model input."""
        shape = [len(images), self.channels, self.size, self.size]
        if list(images.shape) != shape or not images.is_floating_point():
            raise ValueError(f"images must be floats from 0 to 1, {shape}, not {images.dtype} {list(images.shape)}")
        return (images - self.mean) / self.std

    def to_pixels(self, x):
        """Converts the decoder's output to pixels from 0 to 1."""
        return (self.output(x) * self.std + self.mean).clamp(0, 1)


def body(model):
    """Returns the kind that describes the layers: `model.encoder` of a `vq` or `fsq` model, and resnet18 for a classifier."""
    return {"classifier": "resnet18", "vq": model["encoder"], "fsq": model["encoder"]}.get(model["kind"], model["kind"])


def add_variance(decoder, loss):
    """Adds the tensor of a Gaussian likelihood to a decoder. Images are N(decoded, σ²), of model input, with σ² equal to
    running_variance, or with ln σ = softplus(log_sigma + 6) − 6."""
    if loss["reconstruction"] == "gaussian" and loss["variance"] == "optimal":
        decoder.register_buffer("running_variance", torch.ones(1))
    if loss["reconstruction"] == "gaussian" and loss["variance"] == "learned":
        decoder.log_sigma = nn.Parameter(torch.zeros(1))


def numbered(module, name, layers):
    """Adds layers to a module as name1, name2, …, and returns them."""
    for i, layer in enumerate(layers, 1):
        module.add_module(f"{name}{i}", layer)
    return layers
