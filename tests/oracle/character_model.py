"""Writes tests/layers/character_model.safetensors: python tests/oracle/character_model.py FILE

The model of nn/examples/character_model.rs in PyTorch, in f64: its weights at the start as `model.NAME`, the characters of 40 batches as
`text`, and the losses of 40 steps of AdamW, before each step.
"""
import sys

sys.dont_write_bytecode = True

import torch
import torch.nn.functional as F
from torch import nn

from optimizers import save

CHARACTERS, CONTEXT, WIDTH, HEADS, BLOCKS, BATCH, STEPS = 11, 8, 16, 2, 2, 4, 40


class CharacterModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(CHARACTERS, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, F.gelu, batch_first=True, norm_first=True) for _ in range(BLOCKS)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, CHARACTERS, bias=False)

    def forward(self, x):
        length = x.shape[1]
        mask = torch.triu(torch.full((length, length), -1e30, dtype=torch.float64), diagonal=1)
        h = self.tokens(x) + self.positions(torch.arange(length))
        for block in self.blocks:
            h = block(h, mask)
        return self.head(self.norm(h))


def main(path):
    torch.manual_seed(3)
    model = CharacterModel().float()  # the weights are rounded, so that both sides start from the same
    tensors = {f"model.{name}": p.detach().clone() for name, p in model.named_parameters()}
    model = model.double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    # Each character follows from the one before, or is drawn anew.
    text = torch.randint(CHARACTERS, (STEPS, BATCH, CONTEXT + 1))
    for i in range(1, CONTEXT + 1):
        follows = torch.rand(STEPS, BATCH) < 0.8
        text[..., i] = torch.where(follows, (3 * text[..., i - 1] + 1) % CHARACTERS, text[..., i])
    losses = []
    for batch in text:
        logits = model(batch[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, CHARACTERS), batch[:, 1:].reshape(-1))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save(path, tensors | {"text": text.float(), "losses": torch.tensor(losses)})
    print(losses[0], losses[-1])


main(sys.argv[1])
