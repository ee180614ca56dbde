#!/usr/bin/env bash
# The recipe `quickstart` in this library and in PyTorch, in turn, on this machine: the seconds of each round, and the losses of both.
#   benches/compare_quickstart.sh [ROUNDS]      (3 rounds of about two minutes; the first call installs torch, a few GB)
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
venv=${TORCH_VENV:-target/torch-venv}
[ -x "$venv/bin/python" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet torch; }
cargo build --release --locked -p vae
for round in $(seq "$rounds"); do
    out=$(mktemp -d)
    start=$(date +%s.%N)
    target/release/train --recipe quickstart --threads 2 --out "$out/run" >"$out/log" 2>/dev/null
    ours=$(echo "$(date +%s.%N) - $start" | bc)
    theirs=$(PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" benches/peers/quickstart.py | tee "$out/torch" | awk '/seconds/ {print $1}')
    echo "round $round: ours $ours s (whole process), PyTorch $theirs s (training alone), ratio $(echo "scale=2; $ours / $theirs" | bc)"
    tail -n 1 "$out/run/metrics.jsonl" | grep -o '"validation":{"total":[^}]*"kl":[0-9.]*' || true
    grep "epoch 5" "$out/torch"
    rm -r "$out"
done
