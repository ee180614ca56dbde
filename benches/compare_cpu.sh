#!/usr/bin/env bash
# A training step, a forward pass and every kernel, in this library and in PyTorch's two layouts, in turn on this machine.
#   benches/compare_cpu.sh [ROUNDS] [WHAT…]      (3 rounds, a few minutes; the first call installs torch, a few GB)
# Prints medians over the rounds in milliseconds, the ratio to PyTorch's better layout, and the time of a step with a frozen encoder
# relative to a full step. Each WHAT is a line of arguments for `compare`, such as "64 --model=skip". The default is all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
what=("64" "64 --model=resnet18-frozen" "256" "64 --model=basic" "64 --model=conv3" "64 --model=skip" "--kernels")
[ $# -lt 2 ] || what=("${@:2}")
venv=${TORCH_VENV:-target/torch-venv}
[ -x "$venv/bin/python" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet torch; }
cargo build --release --locked --quiet -p benches --bin compare
export PYTHONDONTWRITEBYTECODE=1
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for round in $(seq "$rounds"); do
    for arguments in "${what[@]}"; do
        echo "round $round, $arguments" >&2
        target/release/compare $arguments >>"$lines"
        for mode in eager channels_last; do
            "$venv/bin/python" benches/peers/compare.py "$mode" $arguments >>"$lines"
        done
    done
done
python3 - "$lines" <<'PY'
import collections, json, statistics, sys
table = collections.defaultdict(lambda: collections.defaultdict(list))
for line in open(sys.argv[1]):
    row = json.loads(line)
    mode, model, batch = row.pop("mode"), row.pop("model"), row.pop("batch")
    row.pop("peer")
    for name, seconds in row.items():
        table[f"{model} {name.removesuffix('_s')}, batch {batch}" if name.endswith("_s") else name][mode].append(seconds)
print(f"{'ms':44}{'here':>9}{'eager':>9}{'ch. last':>9}{'ratio':>7}")
for name, modes in table.items():
    here, eager, last = (1e3 * statistics.median(modes[m]) for m in ("cpu", "eager", "channels_last"))
    print(f"{name:44}{here:9.2f}{eager:9.2f}{last:9.2f}{here / min(eager, last):7.2f}")
whole, frozen = (table.get(f"{model} train_step, batch 64") for model in ("resnet18", "resnet18-frozen"))
if whole and frozen:
    left = (statistics.median(frozen[m]) / statistics.median(whole[m]) for m in ("cpu", "eager", "channels_last"))
    print(f"{'resnet18: a frozen step, of a whole one':44}" + "".join(f"{ratio:9.2f}" for ratio in left))
PY
