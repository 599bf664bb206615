#!/usr/bin/env bash
# Makes .venv with scripts/requirements.txt, unless it is there and up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.venv/requirements.txt
cmp -s scripts/requirements.txt "$stamp" && exit 0
echo "setup: making .venv" >&2
python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement scripts/requirements.txt
cp scripts/requirements.txt "$stamp"
