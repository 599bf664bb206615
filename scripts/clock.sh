#!/usr/bin/env bash
# Gets libfaketime, by which the tests let a trainer's clock jump.
set -euo pipefail
if compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null; then exit 0; fi
echo "setup: installing libfaketime" >&2
if [ "$(id -u)" = 0 ]; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends libfaketime >/dev/null
elif command -v sudo >/dev/null; then
  sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends libfaketime >/dev/null
else
  echo "setup: libfaketime must be installed first: apt-get install libfaketime" >&2
  exit 1
fi
