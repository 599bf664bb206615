#!/usr/bin/env bash
# Gets promtool, which checks and tests alerts: target/tools/promtool, out of Debian's package of Prometheus, which is not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=target/tools/promtool
[ -x "$tool" ] && exit 0
mkdir -p target/tools
if found=$(command -v promtool); then
  ln -sf "$found" "$tool"
  exit 0
fi
echo "setup: getting promtool" >&2
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
# APT's own user must be able to write here.
chmod 755 "$download"
get() { (cd "$download" && apt-get download -qq prometheus >/dev/null 2>&1); }
refresh() { if [ "$(id -u)" = 0 ]; then apt-get update -qq; elif command -v sudo >/dev/null; then sudo apt-get update -qq; fi; }
get || { refresh && get; } || {
  echo "setup: promtool must be installed first: apt-get install prometheus" >&2
  exit 1
}
dpkg --extract "$download"/prometheus_*.deb "$download/out"
mv "$download/out/usr/bin/promtool" "$tool"
