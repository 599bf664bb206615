#!/usr/bin/env bash
# Compares the contract with that of the last release: nothing a caller relies on may go.
set -euo pipefail
cd "$(dirname "$0")/.."
baseline=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
if [ -z "$baseline" ]; then
  echo "buf breaking: no release to compare with yet"
  exit 0
fi
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$baseline" proto | tar -x -C "$old"
cd proto
../.venv/bin/buf breaking --against "$old/proto"
