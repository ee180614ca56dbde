#!/usr/bin/env bash
# A training step of the first paper's model on this machine's GPU, in this library and in PyTorch (CUDA, f32), in turn.
#   benches/compare_gpu.sh [ROUNDS]      3 rounds
# $COMPARE_GPU names a built binary, for machines without cargo, and $TORCH_PYTHON a Python with PyTorch. Without CUDA only this
# library runs. Prints medians in milliseconds, launches per step, each kernel's share of a step, and rates of single kernels.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
python=${TORCH_PYTHON:-python3}
if [ -z "${COMPARE_GPU:-}" ]; then
    cargo build --release --locked --quiet -p benches --bin compare_gpu
    COMPARE_GPU=target/release/compare_gpu
fi
cuda=$("$python" -c 'import torch; print(int(torch.cuda.is_available()))' 2>/dev/null || echo 0)
[ "$cuda" = 1 ] || echo "no PyTorch with CUDA ($python): our side alone" >&2
export PYTHONDONTWRITEBYTECODE=1
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for round in $(seq "$rounds"); do
    for batch in 64 256; do
        echo "round $round, batch $batch" >&2
        "$COMPARE_GPU" "$batch" >>"$lines"
        [ "$cuda" = 1 ] || continue
        for mode in eager channels_last; do
            "$python" benches/peers/compare.py "$mode" "$batch" --cuda >>"$lines"
        done
    done
done
"$python" - "$lines" <<'PY'
import collections, json, statistics, sys
table = collections.defaultdict(lambda: collections.defaultdict(list))
for line in open(sys.argv[1]):
    row = json.loads(line)
    who = "here" if row["peer"] == "here" else row["mode"]
    table[row["batch"]][who].append(1e3 * row["train_step_s"])
    if who == "here":
        print(f"{row['adapter']}, batch {row['batch']}: first step {row['first_step_s']:.2f} s, {row['launches']} launches a step, "
              f"{row['made']} objects made and {row['reads']} reads in a steady row, {row['peak_mb']:.0f} MB")
print(f"\n{'ms a step':12}{'here':>9}{'eager':>9}{'ch. last':>9}{'ratio':>7}")
for batch, modes in table.items():
    median = {who: statistics.median(times) for who, times in modes.items()}
    peers = [median[m] for m in ("eager", "channels_last") if m in median]
    cells = "".join(f"{median[m]:9.2f}" if m in median else f"{'-':>9}" for m in ("here", "eager", "channels_last"))
    print(f"batch {batch:<6}{cells}{median['here'] / min(peers):7.2f}" if peers else f"batch {batch:<6}{cells}")
PY
echo
"$COMPARE_GPU" 64 --profile
echo
"$COMPARE_GPU" --kernels
