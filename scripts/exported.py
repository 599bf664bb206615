"""The metrics that the services export, read from their source: names with their kind and labels."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

MACRO = re.compile(r'\b(counter|gauge|histogram)!\(\s*"(graft_[a-z0-9_]+)"')
# A gauge whose series come and go: its labels are written where its text is tested.
REPLACED = re.compile(r'\.replace\(\s*"(graft_[a-z0-9_]+)"')
LABEL = re.compile(r'"([a-z_]+)"\s*=>')


class Metric(NamedTuple):
    """What is known of a metric."""

    kind: str
    labels: frozenset


def arguments(text: str, start: int) -> str:
    """What stands between the parenthesis before `start` and the one that closes it."""
    depth = 1
    for end in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return text[start:end]
    raise ValueError(f"a parenthesis is not closed: {text[start:start + 60]}")


def told(text: str, name: str) -> frozenset:
    """The labels that a file's text has in braces behind `name`."""
    braces = re.findall(re.escape(name) + r"\{([^}]*)\}", text)
    return frozenset(label for inside in braces for label in re.findall(r"([a-z_]+)=", inside))


def exported() -> dict[str, Metric]:
    """All metrics by name."""
    found: dict[str, Metric] = {}
    for path in sorted((ROOT / "services").glob("*/src/**/*.rs")):
        text = path.read_text()
        here = []
        for match in MACRO.finditer(text):
            opened = text.index("(", match.start()) + 1
            here.append((match[2], match[1], frozenset(LABEL.findall(arguments(text, opened)))))
        here += [(match[1], "gauge", told(text, match[1])) for match in REPLACED.finditer(text)]
        for name, kind, labels in here:
            before = found.get(name, Metric(kind, labels))
            if before.kind != kind:
                raise ValueError(f"{name} is a {before.kind} and, in {path.relative_to(ROOT)}, a {kind}")
            found[name] = Metric(kind, before.labels | labels)
    return found


if __name__ == "__main__":
    for name, metric in exported().items():
        print(f"{name}\t{metric.kind}\t{', '.join(sorted(metric.labels))}")
