#!/usr/bin/env bash
# A training step of conv3 and single kernels in this library, in PyTorch, in burn and in candle, in turn on this machine's CPU, two threads each.
#   benches/compare_peers.sh [ROUNDS]      (3 rounds, a few minutes; the first call compiles burn and candle, ten minutes
#                                          or more on two cores, and installs torch, a few GB)
# Each library runs with its fastest settings: PyTorch's better layout, burn's flex backend (its other pure backend, ndarray, is
# deprecated and many times slower), burn and candle compiled for this processor with AVX-512. First all must agree on conv3: the
# number of its parameters, its loss, and the norm of its gradient, for fixed inputs. Prints a table in Markdown: medians over the
# rounds in milliseconds, and the ratio of this library to the best of the others. Below it is a list of operations that a library lacks.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
venv=${TORCH_VENV:-target/torch-venv}
[ -x "$venv/bin/python" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet torch; }
cargo build --release --locked --quiet -p benches --bin compare
[ -d target/peers/candle ] || echo "compiling burn and candle for the first time: ten minutes or more on two cores" >&2
peer() { # NAME, and the arguments for cargo
    RUSTFLAGS="-C target-cpu=native" \
        cargo build --release --quiet --manifest-path "benches/peers/$1/Cargo.toml" --target-dir "target/peers/$1" "${@:2}"
}
peer burn --features cpu
peer candle
here=${CARGO_TARGET_DIR:-target}/release/compare
export PYTHONDONTWRITEBYTECODE=1 RAYON_NUM_THREADS=2
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for round in $(seq "$rounds"); do
    echo "round $round" >&2
    for arguments in "64 --model=conv3 --known" "64 --kernels"; do
        "$here" $arguments >>"$lines"
        for layout in eager channels_last; do
            "$venv/bin/python" benches/peers/compare.py "$layout" $arguments >>"$lines"
        done
    done
    target/peers/burn/release/peer-burn-cpu >>"$lines"
    target/peers/candle/release/peer-candle >>"$lines"
done
python3 - "$lines" "$rounds" <<'PY'
import collections, json, math, re, statistics, sys
columns = {"here": ["cpu"], "PyTorch": ["eager", "channels_last"], "burn": ["burn"], "candle": ["candle"]}
table = collections.defaultdict(lambda: collections.defaultdict(list))
known, absent, versions = {}, collections.defaultdict(dict), {}
for line in open(sys.argv[1]):
    row = json.loads(line)
    peer, mode = row.pop("peer"), row.pop("mode")
    if peer.startswith("torch"):
        versions["PyTorch"] = peer.removeprefix("torch-")
    found = {name: row.pop(name) for name in ("parameters", "loss", "gradient") if name in row}
    known |= {mode: found} if found else {}
    absent[mode] |= row.pop("absent", {})
    for name in row.keys() - {"model", "batch"}:
        table[name][mode].append(row[name])
for mode in sum(columns.values(), []):
    for name, value in known[mode].items():
        if not math.isclose(value, known["cpu"][name], rel_tol=0 if name == "parameters" else 1e-5):
            sys.exit(f"{mode} computes another conv3: its {name} is {value}, here {known['cpu'][name]}")
for peer, crate in (("burn", "burn"), ("candle", "candle-core")):
    versions[peer] = re.search(rf'name = "{crate}"\nversion = "(.*)"', open(f"benches/peers/{peer}/Cargo.lock").read())[1]
show = lambda ms: f"{ms:.{2 if ms < 10 else 1 if ms < 100 else 0}f}"
print("| ms | " + " | ".join(columns) + " | ratio |\n|" + "---|" * 6)
pairs = ("conv 3x3 64@16", "transposed 4x4 s2 128to64@8", "batch norm 64@16", "bilinear x2 64@16")
missing = []
for name in ["train_step_s", "matmul 1024"] + [pair + end for pair in pairs for end in ("", ", with backward")]:
    times = {}
    for peer, modes in columns.items():
        medians = {mode: 1e3 * statistics.median(table[name][mode]) for mode in modes if table[name][mode]}
        if medians:
            times[peer] = min(medians.values())
        else:
            missing.append(f"{peer} has no `{name}` and says why: “{absent[modes[0]][name]}”.")
    ratio = times["here"] / min(times[peer] for peer in times if peer != "here")
    said = "a training step of `conv3`, batch 64" if name == "train_step_s" else name
    print(f"| {said} | " + " | ".join(show(times[p]) if p in times else "–" for p in columns) + f" | {ratio:.2f} |")
print("\n" + " ".join(missing) + "\n" if missing else "")
print(f"Medians of {sys.argv[2]} rounds; " + ", ".join(f"{peer} {version}" for peer, version in versions.items()) + ".")
PY
