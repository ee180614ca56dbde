"""PyTorch's part of compare_distributed.sh: a training step of resnet18 under DistributedDataParallel with gloo.
python ddp.py RANKS THREADS [BATCH], BATCH images for each rank. Prints one line of JSON."""
import json
import os
import statistics
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

from model import MODELS, kl

ranks, threads = int(sys.argv[1]), int(sys.argv[2])
batch = int(sys.argv[3]) if len(sys.argv) > 3 else 64


def work(rank):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29512")
    torch.set_num_threads(threads)
    torch.manual_seed(rank)
    dist.init_process_group("gloo", rank=rank, world_size=ranks)
    make, size = MODELS["resnet18"]
    model = make().to(memory_format=torch.channels_last)
    x = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last)
    # One process has nobody to send to, so it is not wrapped.
    model = torch.nn.parallel.DistributedDataParallel(model) if ranks > 1 else model
    adam = torch.optim.Adam(model.parameters(), 1e-3)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        adam.zero_grad()
        xhat, mu, logvar = model(x)
        loss = F.mse_loss(xhat, x, reduction="sum") / batch + kl(mu, logvar)
        loss.backward()
        adam.step()
        loss.item()
        times.append(time.perf_counter() - start)
    if rank == 0:
        step = statistics.median(times[3:])
        print(json.dumps({"peer": f"torch-{torch.__version__}", "ranks": ranks, "threads": threads, "images_per_second": ranks * batch / step}))
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(work, nprocs=ranks)
