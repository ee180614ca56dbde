#!/usr/bin/env bash
# The cost of the live page: an epoch of the default run, without --live and with it and a connected page, in turn.
#   benches/compare_live.sh [ROUNDS]      (12 rounds of 15 seconds; requires curl)
# Prints the median seconds of the whole process, and the mean of the rounds' ratios.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet -p vae
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
run() { target/release/train --set train.epochs=1 --device cpu --no-report --quiet --out "$out/run" "$@"; }
seconds() { # of a run with these flags
    rm -rf "$out/run"
    local start=$EPOCHREALTIME
    run "$@" >/dev/null
    echo "$EPOCHREALTIME - $start" | bc
}
port=18777
for round in $(seq "${1:-12}"); do
    echo "plain $(seconds)"
    (until curl -sN "http://127.0.0.1:$port/events" >"$out/events"; do sleep 0.05; done) &
    echo "live $(seconds --live --port $port)"
    wait
    grep -q '^event: epoch' "$out/events" || { echo "no page has listened" >&2; exit 1; }
done >"$out/lines"
python3 - "$out/lines" <<'PY'
import statistics, sys
seconds = {"plain": [], "live": []}
for line in open(sys.argv[1]):
    name, value = line.split()
    seconds[name].append(float(value))
ratios = [live / plain for plain, live in zip(*seconds.values())]
for name, values in seconds.items():
    print(f"{name:6}{statistics.median(values):7.2f} s")
print(f"ratio {statistics.mean(ratios):7.3f} ± {statistics.stdev(ratios) / len(ratios) ** 0.5:.3f}")
PY
