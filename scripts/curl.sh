#!/usr/bin/env bash
# Gets curl, by which the tests call the services over HTTP; --json came with 7.82.
set -euo pipefail
if curl --help all 2>/dev/null | grep -q -- --json; then exit 0; fi
echo "setup: installing curl" >&2
if [ "$(id -u)" = 0 ]; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends curl >/dev/null
elif command -v sudo >/dev/null; then
  sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends curl >/dev/null
else
  echo "setup: curl 7.82 or newer must be installed first: apt-get install curl" >&2
  exit 1
fi
