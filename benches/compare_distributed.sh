#!/usr/bin/env bash
# Training of resnet18 (23.9 million parameters, 3×32×32) by one process with one thread, one with two, and two with one each, in this
# library over MPI and in PyTorch under DistributedDataParallel with gloo, in turn on this machine.
#   benches/compare_distributed.sh [ROUNDS]      (2 rounds, a few minutes)
# A process has 64 images in a step. Prints images per second, medians over the rounds, relative to one process with one thread. Needs
# what ./test mpi installs. TORCH_VENV names a virtual environment with PyTorch; without one, only this library is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-2}
venv=${TORCH_VENV:-target/torch-venv}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} PYTHONDONTWRITEBYTECODE=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
cargo build --release --locked --quiet --manifest-path distributed/Cargo.toml
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for round in $(seq "$rounds"); do
    for setting in "1 1" "1 2" "2 1"; do
        read -r ranks threads <<<"$setting"
        echo "round $round: $ranks process(es) with $threads thread(s)" >&2
        out=$folder/$round-$ranks-$threads
        mpirun -n "$ranks" "$CARGO_TARGET_DIR/release/vae-mpi" train --recipe beta-resnet18 --device cpu --threads "$threads" \
            --no-report --out "$out" --set data.kind=shapes --set data.channels=3 --set data.image_size=32 --set data.images=922 \
            --set model.z_dim=20 --set data.normalise=unit --set train.epochs=2 --set train.batch_size=$((64 * ranks)) \
            --set "train.shards=$ranks" --set train.early_stopping=0 >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
        grep "waiting" "$folder/log" | tail -1 >&2 || true
        python3 - "$out/metrics.jsonl" "$ranks" "$threads" >>"$folder/lines" <<'PY'
import json, sys
last = [json.loads(line) for line in open(sys.argv[1])][-1]
print(json.dumps({"peer": "here", "ranks": int(sys.argv[2]), "threads": int(sys.argv[3]), "images_per_second": last["images_per_second"]}))
PY
        if [ -x "$venv/bin/python" ]; then
            "$venv/bin/python" benches/peers/ddp.py "$ranks" "$threads" >>"$folder/lines"
        fi
    done
done
python3 - "$folder/lines" <<'PY'
import collections, json, statistics, sys
table = collections.defaultdict(list)
for line in open(sys.argv[1]):
    row = json.loads(line)
    table[row["peer"], row["ranks"], row["threads"]].append(row["images_per_second"])
speed = {key: statistics.median(values) for key, values in table.items()}
print("| images/s | 1 process, 1 thread | 1 process, 2 threads | 2 processes, 1 thread each |\n|---|---|---|---|")
for peer in sorted({peer for peer, *_ in speed}):
    one = speed[peer, 1, 1]
    cells = [f"{speed[peer, *key]:.1f} ({speed[peer, *key] / one:.2f})" for key in ((1, 1), (1, 2), (2, 1))]
    print(f"| {peer} | " + " | ".join(cells) + " |")
PY
