#!/usr/bin/env bash
# The page's engine and TensorFlow.js in one browser, in turn: training steps a second of the page's two models and of
# `quickstart`, on the CPU and on WebGPU.
#   [MODEL=dense] [DEVICE=CPU] [MINUTES=5] benches/compare_web.sh [ROUNDS] [SECONDS]
# (3 rounds of 5 seconds each; some minutes on CPU, and on WebGPU without a GPU up to MINUTES for each program in a round)
# It needs chromium, Node with npm, and what web/build needs. Without a GPU, WebGPU is SwiftShader, a program on the CPU: such numbers say
# nothing about GPUs. Prints a table in Markdown, medians over the rounds. The last column is their speed divided by ours.
set -euo pipefail
cd "$(dirname "$0")/.."
web/build >&2
for packages in tests/pages benches/peers/tfjs; do
    [ -e $packages/node_modules ] || (cd $packages && npm ci --silent --no-audit --no-fund)
done
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
node benches/peers/tfjs/compare.mjs "$browser" web/dist "${1:-3}" "${2:-5}"
