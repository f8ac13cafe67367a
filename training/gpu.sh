#!/usr/bin/env bash
# Train on one CUDA card from what `python -m training.pack` wrote: bash training/gpu.sh RUN MINUTES [options of train]
# RUN is a folder for the checkpoint and weights.npz; the same command goes on from there. It prints pairs a second.
set -euo pipefail
run=$1 minutes=$2
shift 2
PYTHONPATH=.gpu/site:. PYTHONUNBUFFERED=1 python3 -m training.train --device "${DEVICE:-cuda}" --processes 1 \
  --minutes "$minutes" --clips .gpu/clips --cache "${TMPDIR:-/tmp}/film-frames" --run "$run" --init .gpu/weights.npz \
  --features .gpu/features.npz --side 256 384 --levels 5 --largest 32 --batch 64 --rate 3e-3 --flow 0.5 --perceptual 0.3 \
  --scenes 0 --every 200 "$@"
