"""Runs exported models in PyTorch: python tests/oracle/exported.py FOLDER, the folder of the programs `train` and `vae`

For each kind of model and each of its options, trains a small model for an epoch and exports it by `vae export RUN
--with-module --check`. Loads it by the exported Python module, and compares what that computes from pixels, latents and labels
with our outputs. They must agree to 1e-5 of the largest number. PyTorch computes in f64, so only our rounding is compared. Some
trained models amplify rounding more: where PyTorch's own f32 results differ by more from those in f64, three times their difference
is allowed. Nothing but PyTorch is needed.

Where NumPy is installed, it reads what `vae encode` and `vae decode` write, and writes what `vae decode` reads.
"""
import importlib.util
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

try:
    import numpy
except ImportError:
    numpy = None

# Each of these is a model. All are small, have three latents, and are trained on 32 images.
COLOUR = "data.kind=shapes data.images=48 data.channels=3 data.image_size=32"
SLOW = "train.learning_rate=0.0001"  # A larger one moves all maps to one code, or turns off all units of a network without batch norm.
LINEAR = "model.output=linear loss.reconstruction=sse"
MODELS = """
model.kind=resnet18
model.kind=resnet18 model.batch_norm=false data.image_size=16
model.kind=resnet18 model.upsample=nearest model.decoder_conv=plain model.conditional=true
model.kind=resnet18 model.stem=7x7-pool data.image_size=64 train.ema=0.9
model.kind=resnet50 data.image_size=16
model.kind=resnet50 model.batch_norm=false model.width=8 model.upsample=nearest data.image_size=16 train.learning_rate=0.01
model.kind=resnet50 model.decoder_conv=plain COLOUR LINEAR data.normalise=standard
model.kind=vgg11
model.kind=vgg11 model.batch_norm=false model.width=8 COLOUR LINEAR data.normalise=standard SLOW
model.kind=vgg16 model.conditional=true model.upsample=nearest
model.kind=alexnet model.width=8 data.image_size=64
model.kind=basic
model.kind=basic model.widths=4,5,6 COLOUR data.normalise=symmetric model.output=tanh loss.reconstruction=sse
model.kind=basic model.widths=4,5 model.down=pool model.conditional=true COLOUR
model.kind=conv3
model.kind=conv3 model.widths=4,5 LINEAR data.normalise=standard model.conditional=true
model.kind=conv3 model.widths=4,5,6 model.down=pool
model.kind=skip
model.kind=skip model.width=3 model.slope=0.1 data.image_size=16 model.conditional=true
model.kind=skip model.block=pre-activation COLOUR LINEAR data.normalise=standard
model.kind=skip model.block=pre-activation model.batch_norm=false model.conditional=true
model.kind=skip model.batch_norm=false
model.kind=dense model.hidden=9 data.image_size=28
model.kind=dense model.hidden=9 model.layers=2 model.activation=tanh loss.kind=iwae loss.samples=3 data.binarise=dynamic
model.kind=dense model.hidden=9 loss.reconstruction=gaussian
model.kind=dense model.hidden=9 loss.reconstruction=gaussian loss.variance=learned
model.kind=dense model.hidden=9 model.layers=3 COLOUR LINEAR data.normalise=standard model.conditional=true
model.kind=dense model.hidden=8 loss.kind=csvae model.conditional=true
model.kind=dense model.hidden=9 model.prior=vamp model.pseudo_inputs=5 data.normalise=symmetric LINEAR
model.kind=ladder model.groups=2,1 model.z_dim=96 data.image_size=16
model.kind=ladder model.groups=1,1,1 model.z_dim=84 COLOUR LINEAR data.normalise=standard data.image_size=16 loss.reconstruction=gaussian
model.kind=dense model.hidden=9 loss.kind=vae-gan loss.discriminator_channels=3,4
model.kind=resnet18 loss.kind=soft-intro
model.kind=classifier
model.kind=classifier model.stem=7x7-pool model.batch_norm=false COLOUR data.normalise=standard LINEAR
model.kind=vq model.widths=8,10 model.codes=16 model.code_width=4 SLOW
model.kind=vq model.widths=8,10 model.codes=16 model.code_width=4 SLOW loss.reconstruction=gaussian
model.kind=vq model.encoder=conv3 model.widths=8,10,12 model.codes=16 model.code_width=8 model.down=pool SLOW COLOUR LINEAR data.normalise=standard
model.kind=vq model.encoder=resnet18 model.codes=64 model.code_width=4 SLOW train.batch_size=4 train.epochs=4
model.kind=fsq model.widths=8,10 model.levels=8,5,3 SLOW
model.kind=fsq model.encoder=resnet18 model.levels=16,15,16 COLOUR LINEAR
model.kind=vq model.encoder=resnet50 model.codes=64 model.code_width=4 model.upsample=nearest SLOW train.batch_size=4 train.epochs=4
""".replace("SLOW", SLOW).replace("COLOUR", COLOUR).replace("LINEAR", LINEAR)
ALWAYS = "model.width=4 model.z_dim=3 train.epochs=1 train.batch_size=8 train.learning_rate=0.02"
TOLERANCE = 1e-5


def difference(a, b):
    """The largest difference, relative to the largest number of b."""
    return ((a - b).abs().max() / b.abs().max()).item()


def refused(error, words, function, *arguments):
    """Whether the function raises this error with a message that contains the words."""
    try:
        function(*arguments)
    except error as raised:
        return words in str(raised)
    return False


def compare(module, model, check):
    """Returns pairs of PyTorch's outputs and ours by name, and sentences that should be true."""
    images, labels = check["images"], [check["labels"].long()] if "labels" in check else []
    if hasattr(model, "logits"):
        pairs = {"logits": (model.logits(images), check["logits"])}
        return pairs, {"a classifier does not decode": refused(TypeError, "has no decoder", model.decode, images)}
    if hasattr(model, "codebook"):
        codes = model.encode(images)
        pairs = {"maps": (model.maps(images), check["maps"])}
        pairs["quantised"] = model.look_up(codes), check["quantised"]
        pairs["pixels of codes"] = model.decode(codes), check["pixels"]
        pairs["pixels of maps"] = model.decode(check["quantised"]), check["pixels"]
        return pairs, {"reconstruct decodes codes": torch.equal(model.reconstruct(images), model.decode(codes))}
    mu, logvar = model.encode(images, *labels)
    pairs = {"mu": (mu, check["mu"]), "logvar": (logvar, check["logvar"])}
    pairs["pixels"] = model.decode(check["z"], *labels), check["pixels"]
    facts = {"reconstruct decodes mu": torch.equal(model.reconstruct(images, *labels), model.decode(mu, *labels))}
    if labels:
        facts["labels are missed"] = refused(ValueError, "conditional", model.encode, images)
        other = model.decode(check["z"], (labels[0] + 1) % model.classes)
        facts["labels matter"] = not torch.allclose(other, check["pixels"], atol=1e-4)
    return pairs, facts


def bitmap(image):
    """A BMP file of an image [channels, height, width] with numbers from 0 to 1: 24 bits for each pixel, rows from the bottom up."""
    channels, height, width = image.shape
    pixels = (255 * image.expand(3, height, width)).round().to(torch.uint8).flip(0, 1).movedim(0, -1).reshape(height, -1)
    rows = b"".join(bytes(row).ljust(-(-len(row) // 4) * 4, b"\0") for row in pixels.tolist())
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + head + rows


def arrays(i, model, check, run, vae, folder):
    """What NumPy reads: pairs of its arrays and our outputs by name, and sentences that should be true."""
    names = ["one.bmp", "zwei ü.bmp", "третий.bmp", "4.bmp"]
    for name, image in zip(names, check["images"]):
        (folder / name).write_bytes(bitmap(image))
    run(vae, "encode", f"run{i}", *names, "--out", f"codes{i}.npz")
    pairs, file = {}, numpy.load(folder / f"codes{i}.npz")
    outputs = ["codes"] if hasattr(model, "codebook") else ["mu", "logvar"]
    facts = {"the arrays have these names": sorted(file) == sorted(outputs + ["labels", "names"])}
    facts["names are texts"] = file["names"].dtype.kind == "U" and file["names"].tolist() == names
    facts["labels are int64, -1"] = file["labels"].dtype == numpy.int64 and file["labels"].tolist() == [-1] * 4
    if outputs == ["codes"]:
        codes = file["codes"]
        facts["codes are int64"] = codes.dtype == numpy.int64 and codes.shape == (4, *check["quantised"].shape[2:])
        pairs["codes of NumPy"] = model.look_up(torch.from_numpy(codes)), check["quantised"]
        return pairs, facts
    for name in outputs:
        facts[f"{name} is float32"] = file[name].dtype == numpy.float32 and file[name].shape == tuple(check[name].shape)
        pairs[f"{name} of NumPy"] = torch.from_numpy(file[name]).double(), check[name]
    numpy.save(folder / f"z{i}.npy", check["z"].float().numpy())
    run(vae, "decode", f"run{i}", f"z{i}.npy", "--out", f"pixels{i}.npy")
    pixels = numpy.load(folder / f"pixels{i}.npy")
    facts["pixels are float32"] = pixels.dtype == numpy.float32
    pairs["pixels of NumPy"] = torch.from_numpy(pixels).double(), check["pixels"]
    return pairs, facts


def loaded(path):
    """Imports a Python file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(programs, folder):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VAE_")}

    def run(*words):
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")

    failures = 0
    train, vae = (Path(programs).resolve() / name for name in ("train", "vae"))
    settings = MODELS.strip().splitlines()
    modules = []
    for i, words in enumerate(settings):
        keys = [part for key in f"{ALWAYS} {words}".split() for part in ("--set", key)]
        run(train, *keys, "--limit", "32", "--device", "cpu", "--no-report", "--quiet", "--out", f"run{i}")
        run(vae, "export", f"run{i}", "--out", f"model{i}.safetensors", "--with-module", "--check", f"check{i}.safetensors")
        module = loaded(folder / f"model{i}.py")
        modules.append(module)
        _, check = module.read(folder / f"check{i}.safetensors")
        check = {name: tensor.double() for name, tensor in check.items()}
        with torch.no_grad():
            model = module.load(folder / f"model{i}.safetensors").double()
            pairs, facts = compare(module, model, check)
            in_f32, _ = compare(module, module.load(folder / f"model{i}.safetensors"), {n: t.float() for n, t in check.items()})
            rounding = {name: difference(result.double(), pairs[name][0]) for name, (result, _) in in_f32.items()}
            pairs["x"] = model.normalise(check["images"]), check["x"]
            if numpy and "labels" not in check and "logits" not in check:
                more, others = arrays(i, model, check, run, vae, folder)
                pairs, facts = pairs | more, facts | others
        facts["wrong images are refused"] = refused(ValueError, "floats from 0 to 1", model.encode, check["images"][:, :, 1:])
        differences = {name: difference(*pair) for name, pair in pairs.items()}
        allowed = {name: max(TOLERANCE, 3 * rounding.get(name.removesuffix(" of NumPy"), 0)) for name in pairs}
        wrong = [f"{name} differs by {by:.1e}" for name, by in differences.items() if not by <= allowed[name]]
        # A network whose ReLUs are all 0 would agree, whatever its layers are.
        facts |= {f"{name} depends on the image": b.std(0).max() > 10 * TOLERANCE * b.abs().max() for name, (_, b) in pairs.items()}
        wrong += [f"not true: {fact}" for fact, holds in facts.items() if not holds]
        worst = max(differences.values())
        print(f"{words}: " + ("; ".join(wrong) if wrong else f"{', '.join(pairs)} agree to {worst:.1e}"), flush=True)
        failures += bool(wrong)
    # Three files that a module does not load.
    run(vae, "export", "run0", "--part", "encoder", "--out", "encoder.safetensors")
    for file, words in (
        ("encoder.safetensors", "contains the encoder only"),
        ("run0/checkpoints/best.safetensors", "was not written by `vae export`"),
        (f"model{len(settings) - 1}.safetensors", "is another kind of model, vq"),
    ):
        if not refused(ValueError, words, modules[0].load, folder / file):
            print(f"{file}: is not refused as it should be")
            failures += 1
    if not numpy:
        print("NumPy was not found, so it read nothing")
    passed = len(settings) + 3 - failures
    print(f"test result: {'FAILED' if failures else 'ok'}. {passed} passed; {failures} failed; exported models, PyTorch {torch.__version__}")
    return 1 if failures else 0


with tempfile.TemporaryDirectory() as temporary:
    sys.exit(main(sys.argv[1], Path(temporary)))
