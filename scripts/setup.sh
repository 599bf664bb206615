#!/usr/bin/env bash
# Gets what cargo does not: ONNX Runtime's library, into target/onnxruntime/libonnxruntime.so.
# Does nothing if it is there, or if ORT_DYLIB_PATH names one. Checked against a checksum; pinned.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.32.0
library=target/onnxruntime/libonnxruntime.so
rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)

need() { # need COMMAND PACKAGE...: install Debian's packages if the command does not work
  local check=$1
  shift
  if eval "$check" >/dev/null 2>&1; then return; fi
  echo "setup: installing $*" >&2
  if [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq "$@" >/dev/null
  elif command -v sudo >/dev/null; then
    sudo apt-get update -qq && sudo apt-get install -y -qq "$@" >/dev/null
  else
    echo "setup: $* must be installed first: apt-get install $*" >&2
    exit 1
  fi
}

if ! found=$(cargo --version 2>/dev/null) || [ "$(printf '%s\n' "$rust" "$(cut -d' ' -f2 <<<"$found")" | sort -V | head -1)" != "$rust" ]; then
  echo "setup: Rust $rust or newer is needed, but there is ${found:-no cargo}; get it with rustup, or by 'rustup update'" >&2
  exit 1
fi
need "command -v cc" gcc libc6-dev
need "python3 -m pip --version" python3-pip
need "python3 -c 'import venv, ensurepip'" python3-venv

if [ -n "${ORT_DYLIB_PATH:-}" ]; then
  [ -f "$ORT_DYLIB_PATH" ] || { echo "setup: ORT_DYLIB_PATH names $ORT_DYLIB_PATH, which is no file" >&2; exit 1; }
  exit 0
fi
[ -f "$library" ] && [ "$(cat "$library.version" 2>/dev/null)" = "$version" ] && exit 0

case $(uname -m) in
  x86_64) checksum=99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8 ;;
  aarch64) checksum=e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054 ;;
  *) echo "setup: no ONNX Runtime is known for $(uname -m); set ORT_DYLIB_PATH to a library of version $version" >&2; exit 1 ;;
esac

echo "setup: getting ONNX Runtime $version" >&2
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
# One Python version and platform, whatever this machine has: the library in the wheel is the same, and so is the checksum.
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
  --implementation cp --platform "manylinux_2_28_$(uname -m)" --dest "$download" "onnxruntime==$version"
echo "$checksum  $(ls "$download"/*.whl)" | sha256sum --check --quiet
mkdir -p "$(dirname "$library")"
python3 - "$download" "onnxruntime/capi/libonnxruntime.so.$version" "$library.part" <<'PYTHON'
import pathlib, sys, zipfile
folder, member, target = sys.argv[1:]
wheel = next(pathlib.Path(folder).glob("*.whl"))
pathlib.Path(target).write_bytes(zipfile.ZipFile(wheel).read(member))
PYTHON
mv "$library.part" "$library"
echo "$version" > "$library.version"
