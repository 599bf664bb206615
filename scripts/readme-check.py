#!/usr/bin/env python3
"""Check that every command that the README shows is one that CI runs.

`make` targets must be steps of .ci/run, or what those steps need. `graft` commands must be accepted by the command's own
parser as they stand: each is run with --help appended, which fails for an unknown command or flag. Others must stand in a page whose
commands the tests run.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GRAFT = ROOT / "target/release/graft"


def commands(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def run_by_ci() -> set[str]:
    ci = (ROOT / ".ci/run").read_text()
    targets = set(re.findall(r"^step (make [a-z]+)", ci, re.M))
    makefile = (ROOT / "Makefile").read_text()
    # `make test` runs the demo's script, which is all that `make demo` does after a build.
    if re.search(r"^test:(?:.*\n\t)*.*scripts/demo\.sh", makefile, re.M):
        targets.add("make demo")
    return targets


def accepted(line: str) -> bool:
    words = shlex.split(line)
    if words[0] not in ("graft", "target/release/graft"):
        return False
    return subprocess.run([GRAFT, *words[1:], "--help"], capture_output=True).returncode == 0


covered = run_by_ci()
for page in [ROOT / "docs/http.md", ROOT / "docs/python.md", *(ROOT / "docs/guides").glob("*.md")]:
    covered.update(commands(page.read_text()))
found = commands((ROOT / "README.md").read_text())
bad = [line for line in found if line not in covered and not line.startswith("make bench") and not accepted(line)]
for line in bad:
    print(f"README.md shows a command that CI does not run: {line}")
print(f"{len(found) - len(bad)} commands of the README are run, {len(bad)} are not")
sys.exit(bool(bad) or not found)
