#!/usr/bin/env bash
# A training step, a forward pass and every kernel, in this library and in PyTorch's two layouts, in turn on this machine.
#   benches/compare_cpu.sh [--isa avx2|avx512] [ROUNDS] [WHAT…]   (3 rounds, a few minutes; the first call installs torch, a few GB)
# Prints medians over the rounds in milliseconds, the ratio to PyTorch's better layout, and the time of a step with a frozen encoder
# relative to a full step. --isa makes both sides use these instructions at most; the default is the widest of this machine. Each
# WHAT is a line of arguments for `compare`, such as "64 --model=skip". The default is all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --isa ]; then
    case "${2:-}" in
    avx2) export TENSOR_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 ;;
    avx512) export TENSOR_ISA=avx512 ATEN_CPU_CAPABILITY=avx512 ONEDNN_MAX_CPU_ISA=AVX512_CORE MKL_ENABLE_INSTRUCTIONS=AVX512 ;;
    *)
        echo "error: --isa takes avx2 or avx512, not '${2:-}'" >&2
        exit 2
        ;;
    esac
    shift 2
fi
rounds=${1:-3}
what=("64" "64 --model=resnet18-frozen" "256" "64 --model=basic" "64 --model=conv3" "64 --model=skip" "--kernels" "--library")
[ $# -lt 2 ] || what=("${@:2}")
venv=${TORCH_VENV:-target/torch-venv}
[ -x "$venv/bin/python" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet torch; }
cargo build --release --locked --quiet -p benches --bin compare
export PYTHONDONTWRITEBYTECODE=1
grep -m 1 "model name" /proc/cpuinfo || true
target/release/compare --machine
"$venv/bin/python" benches/peers/compare.py --machine
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
