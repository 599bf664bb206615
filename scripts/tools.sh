#!/usr/bin/env bash
# Gets what the guides and their tests use: curl, whose --json came with 7.82, and sqlite3, by which a running trainer is backed up.
set -euo pipefail
if curl --help all 2>/dev/null | grep -q -- --json && command -v sqlite3 >/dev/null; then exit 0; fi
echo "setup: installing curl and sqlite3" >&2
if [ "$(id -u)" = 0 ]; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends curl sqlite3 >/dev/null
elif command -v sudo >/dev/null; then
  sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends curl sqlite3 >/dev/null
else
  echo "setup: curl 7.82 or newer, and sqlite3, must be installed first: apt-get install curl sqlite3" >&2
  exit 1
fi
