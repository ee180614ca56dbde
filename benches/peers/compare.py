"""PyTorch's part of compare_cpu.sh, compare_peers.sh and compare_gpu.sh. Prints one line of JSON.
python compare.py eager|channels_last [BATCH] [--model=NAME[-frozen]] [--kernels | --library | --known | --machine] [--cuda]; on CUDA in f32 without TF32, like this library."""
import json
import statistics
import sys
import time

import torch
from torch.nn import functional as F

from model import MODELS, kl, known

device = "cuda" if "--cuda" in sys.argv else "cpu"
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
torch.set_default_device(device)
torch.set_num_threads(2)
torch.manual_seed(0)
name = next((a.removeprefix("--model=") for a in sys.argv[1:] if a.startswith("--model=")), "resnet18")
last = "channels_last" in sys.argv
batch = next((int(a) for a in sys.argv[1:] if a.isdigit()), 64)
order = torch.channels_last if last else torch.contiguous_format


def median(runs, body):
    warm, began = 0, time.perf_counter()
    while warm < 3 or time.perf_counter() - began < 0.2:  # a processor that was idle takes longer at first
        body()
        warm += 1
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        body()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def step():
    make, size = MODELS[name.removesuffix("-frozen")]
    model, x = make().to(memory_format=order), torch.rand(batch, 3, size, size).to(memory_format=order)
    if name.endswith("-frozen"):  # the encoder without its heads: no gradients, norms in evaluation mode, not in the optimiser
        model.encoder.requires_grad_(False).eval()
    adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-3)

    def loss(*eps):
        xhat, mu, logvar = model(x, *eps)
        return F.mse_loss(xhat, x, reduction="sum") / batch + kl(mu, logvar)

    def train():
        adam.zero_grad()
        value = loss()
        value.backward()
        adam.step()
        return value if device == "cuda" else value.item()

    if device == "cuda":  # several steps with one wait at the end
        yield "train_step_s", median(5, lambda: [train() for _ in range(20)]) / 20
    else:
        yield "train_step_s", median(8, train)
    model.eval()
    with torch.no_grad():
        yield "forward_s", median(8, lambda: loss().item())
    if "--known" in sys.argv:
        model.fill()
        x.copy_(known(100, x.shape) * 0.5 + 0.5)
        adam.zero_grad()
        value = loss(known(101, torch.Size((batch, 20))))
        value.backward()
        numbers = torch.cat([p.grad.double().flatten() for p in model.parameters()])
        yield from (("parameters", numbers.numel()), ("loss", value.item()), ("gradient", numbers.norm().item()))


def pair(name, inputs, op):
    inputs = [i.to(memory_format=order) if i.dim() == 4 else i for i in inputs]
    with torch.no_grad():
        yield name, median(15, lambda: op(*inputs))
        ones = torch.ones_like(op(*inputs))
    leaves = [i.clone().requires_grad_() for i in inputs]

    def both():
        for leaf in leaves:
            leaf.grad = None
        op(*leaves).backward(ones)

    yield f"{name}, with backward", median(15, both)


def kernels():
    for n in (512, 1024, 2048):
        a, b = torch.randn(n, n), torch.randn(n, n)
        yield f"matmul {n}", median(15, lambda: a @ b)
    for name, i, o, s, k, stride, padding in (
        ("conv 3x3 64@16", 64, 64, 16, 3, 1, 1),
        ("conv 3x3 128@8", 128, 128, 8, 3, 1, 1),
        ("conv 3x3 256@4", 256, 256, 4, 3, 1, 1),
        ("conv 3x3 512@2", 512, 512, 2, 3, 1, 1),
        ("conv 3x3 s2 64to128@16", 64, 128, 16, 3, 2, 1),
        ("conv 1x1 s2 64to128@16", 64, 128, 16, 1, 2, 0),
    ):
        inputs = torch.randn(64, i, s, s), torch.randn(o, i, k, k)
        yield from pair(name, inputs, lambda x, w: F.conv2d(x, w, None, stride, padding))
    for name, i, o, s, k, stride in (("transposed 4x4 s2 128to64@8", 128, 64, 8, 4, 2), ("transposed 3x3 64@16", 64, 64, 16, 3, 1)):
        inputs = torch.randn(64, i, s, s), torch.randn(i, o, k, k)
        yield from pair(name, inputs, lambda x, w: F.conv_transpose2d(x, w, None, stride, 1))
    image = torch.randn(64, 64, 16, 16)
    inputs = image, torch.ones(64), torch.zeros(64)
    yield from pair("batch norm 64@16", inputs, lambda x, w, b: F.batch_norm(x, None, None, w, b, True))
    yield from pair("bilinear x2 64@16", [image], lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))


def library():
    for name, i, groups, dilation, stride in (
        ("conv 3x3 8 groups 64@16", 64, 8, 1, 1),
        ("conv 3x3 2 groups 256@16", 256, 2, 1, 1),
        ("conv 3x3 depthwise 128@16", 128, 128, 1, 1),
        ("conv 3x3 depthwise s2 128@16", 128, 128, 1, 2),
        ("conv 3x3 dilation 2 64@16", 64, 1, 2, 1),
    ):
        inputs = torch.randn(64, i, 16, 16), torch.randn(i, i // groups, 3, 3)
        yield from pair(name, inputs, lambda x, w: F.conv2d(x, w, None, stride, dilation, dilation, groups))
    image, rows = torch.randn(64, 64, 16, 16), torch.randn(4096, 256)
    yield from pair("group norm 8 groups 64@16", (image, torch.ones(64), torch.zeros(64)), lambda x, w, b: F.group_norm(x, 8, w, b))
    yield from pair("layer norm 4096x256", (rows, torch.ones(256), torch.zeros(256)), lambda x, w, b: F.layer_norm(x, (256,), w, b))
    yield from pair("softmax 4096x256", [rows], lambda x: x.softmax(1))
    yield from pair("cumsum 4096x256, rows", [rows], lambda x: x.cumsum(1))
    yield from pair("cumsum 4096x256, columns", [rows], lambda x: x.cumsum(0))
    yield from pair("var 4096x256", [rows], lambda x: x.var(1))
    yield from pair("max 4096x256", [rows], lambda x: x.amax(1))
    yield from pair("gelu 64@16", [image], F.gelu)
    yield from pair("gelu tanh 64@16", [image], lambda x: F.gelu(x, approximate="tanh"))
    yield from pair("silu 64@16", [image], F.silu)
    yield from pair("sin 64@16", [image], torch.sin)
    indices = torch.arange(4096) * 37 % 1000
    yield from pair("index_select 4096 of 1000x256", [torch.randn(1000, 256)], lambda x: x.index_select(0, indices))
    yield from pair("bmm 64x128x64x128", (torch.randn(64, 128, 64), torch.randn(64, 64, 128)), lambda a, b: a @ b)
    heads = [torch.randn(64, 128, 64) for _ in range(3)]
    yield from pair("attention 64x128x64", heads, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))


if "--machine" in sys.argv:
    print(f"PyTorch {torch.__version__}: {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")
    sys.exit()
figures = dict(kernels() if "--kernels" in sys.argv else library() if "--library" in sys.argv else step())
mode = "channels_last" if last else "eager"
print(json.dumps({"peer": f"torch-{torch.__version__}", "mode": mode, "model": name, "batch": batch, **figures}))
