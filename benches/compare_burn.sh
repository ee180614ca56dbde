#!/usr/bin/env bash
# matmul 512³ and conv2d 3×3 (64, 64, 16, 16) → 64 on the same adapter, in this library and in burn's wgpu backend, in turn.
#   benches/compare_burn.sh [ROUNDS]      3 rounds; the first call compiles burn, which takes ten minutes on two cores
# Prints medians in GFLOP/s, and seconds of the first call (with compilation).
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
cargo build --release --locked --quiet -p benches --bin compare_gpu
burn=target/peer-burn
cargo build --release --quiet --manifest-path benches/peers/burn/Cargo.toml --target-dir "$burn" --features gpu
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for round in $(seq "$rounds"); do
    echo "round $round" >&2
    target/release/compare_gpu --two >>"$lines"
    "$burn/release/peer-burn" >>"$lines"
done
python3 - "$lines" <<'PY'
import collections, json, statistics, sys
table = collections.defaultdict(lambda: collections.defaultdict(list))
for line in open(sys.argv[1]):
    row = json.loads(line)
    for name in ("matmul", "conv"):
        for part in ("_s", "_first_s"):
            table[name + part][row["peer"]].append(row[name + part])
flop = {"matmul": 2 * 512**3, "conv": 2 * 64 * 256 * 64 * 64 * 9}
print(f"{'':10}{'here':>9}{'burn':>9}   GFLOP/s, ratio; first call, s")
for name in ("matmul", "conv"):
    here, burn = (statistics.median(table[name + "_s"][p]) for p in ("here", "burn"))
    first = [statistics.median(table[name + "_first_s"][p]) for p in ("here", "burn")]
    print(f"{name:10}{flop[name] / here / 1e9:9.2f}{flop[name] / burn / 1e9:9.2f}   {burn / here:.2f}; {first[0]:.2f}, {first[1]:.2f}")
PY
