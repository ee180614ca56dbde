"""The recipe `quickstart` in PyTorch: python quickstart.py [EPOCHS] [SEED]. Prints one line per epoch, then the total seconds."""
import gzip
import pathlib
import sys
import time

import torch
from torch.nn import functional as F

from model import ResVae, kl

arguments = [int(a) for a in sys.argv[1:]]
epochs, seed = arguments + [5, 0][len(arguments) :]
torch.set_num_threads(2)
torch.manual_seed(seed)
file = pathlib.Path(__file__).parents[2] / "vae/core/digits/t10k-images-idx3-ubyte.gz"
digits = torch.frombuffer(bytearray(gzip.open(file).read()[16:]), dtype=torch.uint8).reshape(-1, 1, 28, 28)
digits = F.pad(digits.float() / 255, (2, 2, 2, 2))[torch.randperm(10_000)]
train, validation = digits[:8334], digits[8334:9167]
model = ResVae(z=16, channels=1, width=16)
adam = torch.optim.Adam(model.parameters(), 1e-3)


def losses(x):
    logits, mu, logvar = model(x)
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x), kl(mu, logvar)


start = time.perf_counter()
for epoch in range(epochs):
    model.train()
    for x in train[torch.randperm(len(train))].split(64):
        adam.zero_grad()
        sum(losses(x)).backward()
        adam.step()
    model.eval()
    with torch.no_grad():
        rows = [[v.item() * len(x) / len(validation) for v in losses(x)] for x in validation.split(64)]
    reconstruction, divergence = map(sum, zip(*rows))
    print(f"epoch {epoch + 1}: validation reconstruction {reconstruction:.2f}, KL {divergence:.2f}", flush=True)
print(f"{time.perf_counter() - start:.1f} seconds")
