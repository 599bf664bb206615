#!/usr/bin/env bash
# Generates the gRPC stubs of the contract into src/graft, which is not committed. PYTHON names the Python that has grpcio-tools.
set -euo pipefail
cd "$(dirname "$0")"
proto=../../proto
python=${PYTHON:-python3}
rm -rf src/graft
"$python" -m grpc_tools.protoc -I "$proto" --python_out=src --pyi_out=src --grpc_python_out=src "$proto"/graft/v1/*.proto
touch src/graft/v1/py.typed
