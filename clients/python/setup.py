"""Generates the stubs of the contract into the package when it is built in a checkout. All else is in pyproject.toml."""

import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "proto"


class WithStubs(build_py):
    """Writes `graft/v1` before packages are looked for."""

    def run(self) -> None:
        # A source distribution has the stubs and not the contract.
        if PROTO.is_dir():
            generate()
            self.distribution.packages = sorted({*(self.distribution.packages or []), "graft.v1"})
            self.packages = self.distribution.packages
            self.py_modules = self.distribution.py_modules
        super().run()


def generate() -> None:
    target = HERE / "src"
    shutil.rmtree(target / "graft", ignore_errors=True)
    files = [str(path) for path in sorted((PROTO / "graft/v1").glob("*.proto"))]
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}", *outputs, *files]
    subprocess.run(protoc, check=True)
    (target / "graft/v1/py.typed").touch()


setup(cmdclass={"build_py": WithStubs})
