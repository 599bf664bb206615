"""The code of the guide and of the README runs, block by block in its order, against real services."""

import ast
import asyncio
import inspect
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from graft_client.config import KEYS, _context, tomllib
from samples import IMAGES, ROOT, TRAIN, folder, garments

PAGES = ["docs/python.md", "clients/python/README.md", "README.md"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A folder with what the blocks name."""
    root = tmp_path_factory.mktemp("scene")
    folder(root / "photos", garments(TRAIN, 1000))
    for name in ("shoe.jpg", "bag.jpg", "new.jpg"):
        shutil.copy(IMAGES / "coffee.jpg" if name != "bag.jpg" else IMAGES / "astronaut.png", root / name)
    return root


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_the_page_runs(page, scene, addresses, monkeypatch):
    monkeypatch.chdir(scene)
    monkeypatch.setenv("GRAFT_TRAINER", addresses[0])
    monkeypatch.setenv("GRAFT_EXTRACTOR", addresses[1])
    # Those for clients of Triton are tested where these are.
    found = [block for block in blocks(page, "python") if "triton" not in block and "client.infer" not in block]
    assert found
    scope: dict = {}
    # One loop for all blocks, as a notebook has.
    with closing(asyncio.new_event_loop()) as loop:
        for block in found:
            text = block.replace("localhost:7400", addresses[0]).replace("localhost:7401", addresses[1])
            code = compile(text, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if code.co_flags & inspect.CO_COROUTINE:
                loop.run_until_complete(eval(code, scope))
            else:
                exec(code, scope)


def test_what_the_guide_installs_is_there():
    (text,) = blocks(PAGES[0], "sh")
    project = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    for line in text.splitlines():
        place, told = re.fullmatch(r"pip install '?([\w/]+)(?:\[(.*)\])?'?(?: +#.*)?", line).groups()
        assert (ROOT / place / "pyproject.toml").is_file() and set(filter(None, (told or "").split(","))) in (set(), extras)


def test_the_file_of_contexts_of_the_guide_is_one(tmp_path):
    (text,) = blocks(PAGES[0], "toml")
    contexts = tomllib.loads(text)["contexts"]
    for name, table in contexts.items():
        _context(name, table, Path(tmp_path / "config.toml"))
    # It shows every key but the token itself.
    assert {key for table in contexts.values() for key in table} == set(KEYS) - {"token"}
