"""Compares our Inception-v3 with pytorch-fid's, with random weights: python tests/oracle/inception.py VAE RUN DATA

VAE is the program `vae`, RUN the folder of a VAE's run on `mnist` (it is copied first), DATA the folder of its data.
Writes weights under torchvision's names, runs `vae evaluate --inception` on the first four test images, and reads the features from
the run's cache. Needs torch, torchvision, pytorch-fid and safetensors. Agreement is to 1e-4 of the largest feature, in f32.
"""
import gzip
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib

import numpy as np
import pytorch_fid.inception as fid
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import inception_v3


def network():
    """pytorch-fid's network without its downloaded weights."""
    net = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    for name, block in [("5b", fid.FIDInceptionA(192, pool_features=32)), ("5c", fid.FIDInceptionA(256, pool_features=64)),
                        ("5d", fid.FIDInceptionA(288, pool_features=64)), ("6b", fid.FIDInceptionC(768, channels_7x7=128)),
                        ("6c", fid.FIDInceptionC(768, channels_7x7=160)), ("6d", fid.FIDInceptionC(768, channels_7x7=160)),
                        ("6e", fid.FIDInceptionC(768, channels_7x7=192)), ("7b", fid.FIDInceptionE_1(1280)),
                        ("7c", fid.FIDInceptionE_2(2048))]:
        setattr(net, f"Mixed_{name}", block)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in net.state_dict().items():
        if name.endswith("conv.weight"):  # scaled so that the maps keep their magnitude
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / tensor[0].numel()) ** 0.5)
        elif name.endswith(("bn.weight", "running_var")):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        elif name.endswith(("bn.bias", "running_mean")):
            tensor.copy_(0.2 * torch.randn(tensor.shape, generator=generator))
    return net.eval()


def test_images(data, count, size):
    """The first MNIST test images in [0, 1], with a black border up to this size, in three equal channels."""
    with gzip.open(pathlib.Path(data) / "MNIST/raw/t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + 784 * count), np.uint8, offset=16).reshape(count, 1, 28, 28)
    border = ((size - 28) // 2, (size - 28) // 2)
    bordered = np.pad(pixels, [(0, 0), (0, 0), border, border]).astype(np.float32) / 255
    return torch.from_numpy(bordered).expand(-1, 3, -1, -1)


def main(vae, run, data):
    size = tomllib.loads((pathlib.Path(run) / "config.toml").read_text())["data"]["image_size"]
    net = network()
    fid.fid_inception_v3 = lambda: net
    model = fid.InceptionV3([fid.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copytree(run, folder / "run", ignore=shutil.ignore_patterns("cache"))
        weights = folder / "inception.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, weights)
        options = ["--images", "4", "--data-dir", data, "--device", "cpu", "--inception", weights]
        subprocess.run([vae, "evaluate", folder / "run", *options], check=True, stdout=subprocess.DEVNULL)
        # The cache has features of two networks; Inception's have 2,048 elements.
        kept = [load_file(file)["features"] for file in (folder / "run/cache").glob("features-*.safetensors")]
        ours = next(features for features in kept if features.shape[1] == 2048)
    with torch.no_grad():
        theirs = model(test_images(data, 4, size))[0].flatten(1)
    difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    apart = (theirs[0] - theirs[1]).abs().max() / theirs.abs().max()
    print(f"features {list(ours.shape)}: largest difference {difference:.2e} of the largest; two images are {apart:.2e} apart")
    sys.exit(0 if difference <= 1e-4 else "they differ")


main(*sys.argv[1:])
