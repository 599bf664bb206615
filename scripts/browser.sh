#!/usr/bin/env bash
# Gets the browser that the tests open pages in: any Chromium will do.
set -euo pipefail
for browser in chromium chromium-browser google-chrome; do
  if command -v "$browser" >/dev/null; then exit 0; fi
done
echo "setup: installing chromium" >&2
if [ "$(id -u)" = 0 ]; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
elif command -v sudo >/dev/null; then
  sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
  echo "setup: a browser must be installed first: apt-get install chromium" >&2
  exit 1
fi
