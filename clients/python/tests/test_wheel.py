"""The package is built as a wheel that needs nothing of the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    # A copy, so that the stubs which other tests have imported are not written anew beside them.
    import shutil

    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(PACKAGE.parents[1] / "proto", root / "proto", ignore=shutil.ignore_patterns("target"))
    skip = shutil.ignore_patterns("__pycache__", "graft", "build", "*.egg-info", "tests", ".mypy_cache")
    shutil.copytree(PACKAGE, root / "clients/python", ignore=skip)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", root / "out"]
    subprocess.run([*command, root / "clients/python"], check=True)
    (made,) = (root / "out").glob("*.whl")
    return made


def test_it_has_the_stubs_and_says_its_types(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        (about,) = (name for name in names if name.endswith("METADATA"))
        text = file.read(about).decode()
    sources = {path.relative_to(PACKAGE / "src").as_posix() for path in (PACKAGE / "src/graft_client").rglob("*.py")}
    assert sources | {"graft_client/py.typed", "graft/v1/py.typed", "graft/v1/head_pb2.pyi"} <= names
    protos = {path.stem for path in (PACKAGE.parents[1] / "proto/graft/v1").glob("*.proto")}
    assert {f"graft/v1/{name}_pb2.py" for name in protos} <= names
    for extra in ("pandas", "arrow", "sklearn", "pillow", "progress"):
        assert f"Provides-Extra: {extra}" in text


def test_it_runs_where_it_is_installed(wheel, addresses, tmp_path):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "site", wheel]
    subprocess.run(command, check=True)
    code = "import sys, graft_client; print(graft_client.__file__); print(graft_client.Graft(*sys.argv[1:]).backbone().name)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code, *addresses], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    place, name = done.stdout.split()
    assert place.startswith(str(tmp_path / "site")) and name == "efficientnet-lite0"
