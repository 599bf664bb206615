"""The gRPC stubs, generated from the contract."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from types import ModuleType

NAMES = ("embedding", "extractor", "dataset", "training", "head", "classifier")


def generate(proto: str | Path, out: str | Path | None = None) -> dict[str, ModuleType]:
    """Generate the stubs of the contract in the folder `proto` into `out` and import them.

    Gives the modules by name: `extractor` for the messages of extractor.proto, `extractor_grpc` for its stubs.
    """
    from grpc_tools import protoc, _proto  # type: ignore[attr-defined]

    out = Path(out or tempfile.mkdtemp(prefix="graft-stubs-"))
    files = sorted(str(path) for path in Path(proto).glob("graft/v1/*.proto"))
    if not files:
        raise FileNotFoundError(f"{proto} holds no graft/v1/*.proto")
    well_known = str(Path(_proto.__file__).parent) if _proto.__file__ else str(next(iter(_proto.__path__)))
    code = protoc.main(["protoc", f"-I{proto}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *files])
    if code != 0:
        raise RuntimeError(f"protoc ended with {code}")
    sys.path.insert(0, str(out))
    modules = {}
    for name in NAMES:
        modules[name] = importlib.import_module(f"graft.v1.{name}_pb2")
        modules[f"{name}_grpc"] = importlib.import_module(f"graft.v1.{name}_pb2_grpc")
    return modules
