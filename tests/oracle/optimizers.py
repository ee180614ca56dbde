"""Writes tests/layers/optimizers.safetensors: python tests/oracle/optimizers.py FILE

From a start, 200 given gradients and a learning rate that changes, the parameters after 1, 20 and 200 steps of PyTorch's optimisers in
f64, and the rates of PyTorch's schedules. Lion, which PyTorch lacks, follows algorithm 2 of 2302.06675.
"""
import json
import struct
import sys

import torch
from torch.optim import SGD, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, StepLR

COUNT, STEPS, KEPT = 48, 200, [1, 20, 200]


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, (beta1, beta2), decay = group["lr"], group["betas"], group["weight_decay"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = (beta1 * m + (1 - beta1) * p.grad).sign()
                p.sub_(lr * (update + decay * p))
                m.mul_(beta2).add_((1 - beta2) * p.grad)


OPTIMIZERS = {
    "adam": lambda p: Adam(p, lr=0.01),
    "adam_decay": lambda p: Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
    "adamw": lambda p: AdamW(p, lr=0.01, weight_decay=0.1),
    "sgd": lambda p: SGD(p, lr=0.01, weight_decay=0.1),
    "momentum": lambda p: SGD(p, lr=0.01, momentum=0.9),
    "nesterov": lambda p: SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    "rmsprop": lambda p: RMSprop(p, lr=0.01, weight_decay=0.1),
    "lion": lambda p: Lion(p, lr=0.01, weight_decay=0.1),
}
SCHEDULES = {
    "step": lambda o: StepLR(o, step_size=7, gamma=0.5),
    "cosine": lambda o: CosineAnnealingLR(o, T_max=40),
    "one_cycle": lambda o: OneCycleLR(o, max_lr=0.1, total_steps=40, cycle_momentum=False),
}


def main(path):
    torch.manual_seed(1)
    start = torch.randn(COUNT, dtype=torch.float32)
    gradients = torch.randn(STEPS, COUNT, dtype=torch.float32)
    tensors = {"start": start, "gradients": gradients}
    for name, make in OPTIMIZERS.items():
        p = start.double().clone().requires_grad_()
        optimizer = make([p])
        for step in range(1, STEPS + 1):
            for group in optimizer.param_groups:
                group["lr"] = 0.01 / (1 + step / 100)
            p.grad = gradients[step - 1].double()
            optimizer.step()
            if step in KEPT:
                tensors[f"{name}.{step}"] = p.detach().float()
    for name, make in SCHEDULES.items():
        optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        schedule = make(optimizer)
        rates = []
        for _ in range(40):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        tensors[f"schedule.{name}"] = torch.tensor(rates, dtype=torch.float32)
    save(path, tensors)


def save(path, tensors):
    header, at = {"__metadata__": {"torch": torch.__version__}}, 0
    for name, tensor in tensors.items():
        end = at + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for tensor in tensors.values():
            file.write(tensor.numpy().tobytes())


if __name__ == "__main__":
    main(sys.argv[1])
