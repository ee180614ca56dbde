"""Loads a file of `vae export` into PyTorch and compares outputs: python tests/oracle/load_ours.py MODEL CHECK [ENCODER]

MODEL is `vae export RUN --out MODEL --check CHECK` of a run of `resnet18` with the small stem, ENCODER `vae export RUN
--part encoder --out ENCODER`. Each is read by safetensors.torch.load_file and loaded strictly; CHECK has images x and latents z,
and our model's outputs for them: mu, logvar and xhat. Agreement is to 1e-5 of the largest number, in f32.
"""
import sys

import torch
from safetensors.torch import load_file

from resvae import Encoder, ResVae


def compare(name, got, ours):
    difference = ((got - ours).abs().max() / ours.abs().max()).item()
    print(f"{name:8} {list(ours.shape)}: largest difference {difference:.2e} of the largest number")
    return difference <= 1e-5


def main(model_file, check_file, encoder_file=None):
    weights, check = load_file(model_file), load_file(check_file)
    width, channels = weights["encoder.conv1.weight"].shape[:2]
    model = ResVae(len(weights["encoder.mu.bias"]), channels, width, check["x"].shape[-1])
    print(f"{model_file}: {model.load_state_dict(weights, strict=True)}")
    model.eval()
    with torch.no_grad():
        (mu, logvar), xhat = model.encoder(check["x"]), model.decoder(check["z"])
        outputs = [("mu", mu), ("logvar", logvar.clamp(-30, 20)), ("xhat", xhat)]
        agree = [compare(name, got, check[name]) for name, got in outputs]
        if encoder_file:
            encoder = Encoder(len(mu[0]), channels, width)
            print(f"{encoder_file}: {encoder.load_state_dict(load_file(encoder_file), strict=True)}")
            agree.append(compare("mu", encoder.eval()(check["x"])[0], check["mu"]))
    sys.exit(0 if all(agree) else "they differ")


main(*sys.argv[1:])
