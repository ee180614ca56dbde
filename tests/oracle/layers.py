"""Writes tests/layers/layers.safetensors: python tests/oracle/layers.py FILE

For each layer, under its name: inputs `x0`, `x1`, …, parameters as PyTorch names them, the result `y` in f64, a gradient of the result
`dy`, and the gradients that follow from it, of the inputs as `d.x0`, … and of the parameters as `d.NAME`. Running statistics are those
after the call.
"""
import sys

sys.dont_write_bytecode = True

import torch
from torch import nn

from optimizers import save


def causal(n):
    return torch.triu(torch.full((n, n), -1e30, dtype=torch.float64), diagonal=1)


def attention(layer, x):
    q, k, v = (x * 3)[:3]
    return layer(q, k, v, attn_mask=causal(q.shape[1]) if len(x) == 1 else None, need_weights=False)[0]


def call(layer, x):
    return layer(*x)


CASES = {
    "grouped": (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), [(2, 4, 5, 6)], call),
    "depthwise": (nn.Conv2d(3, 6, 3, padding=1, groups=3), [(2, 3, 4, 5)], call),
    "dilated": (nn.Conv2d(2, 3, 3, padding=2, dilation=2, bias=False), [(2, 2, 6, 5)], call),
    "linear": (nn.Linear(5, 4, bias=False), [(2, 3, 5)], call),
    "batch_norm": (nn.BatchNorm2d(3, momentum=0.3, eps=0.05), [(2, 3, 4, 3)], call),
    "group_norm": (nn.GroupNorm(2, 6), [(2, 6, 3, 2)], call),
    "group_norm_plain": (nn.GroupNorm(3, 6, eps=0.05, affine=False), [(2, 6, 3, 2)], call),
    "layer_norm": (nn.LayerNorm((3, 4)), [(5, 3, 4)], call),
    "layer_norm_scale": (nn.LayerNorm(4, eps=0.05, bias=False), [(5, 3, 4)], call),
    "layer_norm_plain": (nn.LayerNorm(4, elementwise_affine=False), [(5, 3, 4)], call),
    "instance_norm": (nn.InstanceNorm2d(3), [(2, 3, 4, 3)], call),
    "instance_norm_affine": (nn.InstanceNorm2d(3, eps=0.05, affine=True), [(2, 3, 4, 3)], call),
    "self_attention": (nn.MultiheadAttention(8, 2, batch_first=True), [(2, 5, 8)], attention),
    "cross_attention": (nn.MultiheadAttention(6, 3, bias=False, batch_first=True), [(2, 4, 6), (2, 5, 6), (2, 5, 6)], attention),
}


def main(path):
    torch.manual_seed(2)
    tensors = {}
    for name, (layer, shapes, run) in CASES.items():
        layer = layer.double()
        x = [torch.randn(shape, dtype=torch.float32).double().requires_grad_() for shape in shapes]
        record(tensors, name, layer, x, run)
    indices = torch.tensor([[3, 0, 3], [5, 1, 3]])
    record(tensors, "embedding", nn.Embedding(6, 4).double(), [indices], call)
    for name, layer, shape in [("spectral_conv", nn.Conv2d(3, 4, 3, stride=2, padding=1), (2, 3, 5, 6)), ("spectral_linear", nn.Linear(5, 4), (3, 5))]:
        spectral(tensors, name, layer, torch.randn(shape))
    save(path, tensors)


def spectral(tensors, name, layer, x):
    """One pass in training through `spectral_norm`: singular vectors before as `u` and `v`, after the pass as `next_u` and `next_v`."""
    layer, x = nn.utils.spectral_norm(layer).double(), x.double().requires_grad_()
    for tensor in [layer.weight_orig, layer.bias, layer.weight_u, layer.weight_v]:
        tensor.data.copy_(tensor.data.float().double())
    kept = {"x": x, "u": layer.weight_u, "v": layer.weight_v, "weight": layer.weight_orig, "bias": layer.bias}
    kept = {key: tensor.detach().clone() for key, tensor in kept.items()}
    y = layer(x)
    dy = torch.randn(y.shape).float().double()
    y.backward(dy)
    kept |= {"y": y.detach(), "dy": dy, "d.x": x.grad, "d.weight": layer.weight_orig.grad, "d.bias": layer.bias.grad}
    kept |= {"next_u": layer.weight_u, "next_v": layer.weight_v}
    tensors |= {f"{name}/{key}": value.float().contiguous() for key, value in kept.items()}


def record(tensors, name, layer, x, run):
    with torch.no_grad():
        for param in layer.parameters():  # also those that start as 0 or 1; rounded, so that both sides start from the same
            param.copy_(torch.randn(param.shape).float().double())
    kept = {key: param.detach().clone() for key, param in layer.named_parameters()}
    y = run(layer, x)
    dy = torch.randn(y.shape).float().double()
    y.backward(dy)
    kept |= {f"x{i}": x.detach() for i, x in enumerate(x)} | {"y": y.detach(), "dy": dy}
    kept |= {f"d.x{i}": x.grad for i, x in enumerate(x) if x.grad is not None}
    kept |= {f"d.{key}": param.grad for key, param in layer.named_parameters()}
    kept |= {key: value for key, value in layer.named_buffers() if key.startswith("running")}
    tensors |= {f"{name}/{key}": value.float().contiguous() for key, value in kept.items()}


if __name__ == "__main__":
    main(sys.argv[1])
