#!/usr/bin/env bash
# Training of resnet18 (23.9 million parameters, 3×32×32) by one process with one thread, one with two, and two with one each, in this
# library over MPI and in PyTorch under DistributedDataParallel with gloo, in turn on this machine; and by two trainings side by side that
# have nothing to do with each other, which is the most that two processes can reach.
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
# train RANKS THREADS OUT: trains, and writes the images per second of the last epoch to OUT.speed.
train() {
    mpirun -n "$1" "$CARGO_TARGET_DIR/release/vae-mpi" train --recipe beta-resnet18 --device cpu --threads "$2" \
        --no-report --out "$3" --set data.kind=shapes --set data.channels=3 --set data.image_size=32 --set data.images=922 \
        --set model.z_dim=20 --set data.normalise=unit --set train.epochs=2 --set train.batch_size=$((64 * $1)) \
        --set "train.shards=$1" --set train.early_stopping=0 >"$3.log" 2>&1 || { cat "$3.log" >&2; exit 1; }
    grep "waiting" "$3.log" | tail -1 >&2 || true
    python3 -c 'import json, sys; print([json.loads(line) for line in open(sys.argv[1])][-1]["images_per_second"])' \
        "$3/metrics.jsonl" >"$3.speed"
    rm -r "$3"
}
line() { echo "{\"peer\": \"here\", \"ranks\": $1, \"threads\": $2, \"images_per_second\": $3}" >>"$folder/lines"; }
for round in $(seq "$rounds"); do
    for setting in "1 1" "1 2" "2 1"; do
        read -r ranks threads <<<"$setting"
        echo "round $round: $ranks process(es) with $threads thread(s)" >&2
        train "$ranks" "$threads" "$folder/run"
        line "$ranks" "$threads" "$(cat "$folder/run.speed")"
        if [ -x "$venv/bin/python" ]; then
            "$venv/bin/python" benches/peers/ddp.py "$ranks" "$threads" >>"$folder/lines"
        fi
    done
    # What two processes reach that share the machine, and nothing else.
    echo "round $round: two trainings side by side, 1 thread each" >&2
    train 1 1 "$folder/left" &
    train 1 1 "$folder/right"
    wait $!
    line 0 1 "$(python3 -c 'import sys; print(sum(float(open(path).read()) for path in sys.argv[1:]))' "$folder/left.speed" "$folder/right.speed")"
done
python3 - "$folder/lines" <<'PY'
import collections, json, statistics, sys
table = collections.defaultdict(list)
for line in open(sys.argv[1]):
    row = json.loads(line)
    table[row["peer"], row["ranks"], row["threads"]].append(row["images_per_second"])
speed = {key: statistics.median(values) for key, values in table.items()}
print("| images/s | 1 process, 1 thread | 1 process, 2 threads | 2 processes, 1 thread each | two that share nothing |")
print("|---|---|---|---|---|")
for peer in sorted({peer for peer, *_ in speed}):
    one = speed[peer, 1, 1]
    keys = [key for key in ((1, 1), (1, 2), (2, 1), (0, 1)) if (peer, *key) in speed]
    cells = [f"{speed[peer, *key]:.1f} ({speed[peer, *key] / one:.2f})" for key in keys]
    print(f"| {peer} | " + " | ".join(cells) + " |")
PY
