#!/usr/bin/env python3
"""Check rendered manifests against Kubernetes' schemas, against each other, and against the real programs.

Unknown fields fail, also in what KEDA and the Prometheus Operator take. Every argument and setting is given to the real program,
which must take it. The chart's schema has exactly the flags that the programs have.
"""

import json
import re
import sys
from pathlib import Path

import yaml

from chart_objects import check_objects
from chart_programs import check_compose, check_flags, check_pod
from chart_schemas import check_schema

ROOT = Path(__file__).resolve().parent.parent


def documented(schema: dict, at: str, faults: list[str]) -> None:
    """That everything in the chart's schema says what it is, and nothing unknown is taken."""
    for name, inner in schema.get("properties", {}).items():
        if not inner.get("description"):
            faults.append(f"values.schema.json: {at}{name} has no description")
        if "properties" in inner and inner.get("additionalProperties") is not False:
            faults.append(f"values.schema.json: {at}{name} takes what it does not know")
        documented(inner, f"{at}{name}.", faults)


def commented(schema: dict, values: dict, at: str, faults: list[str]) -> None:
    """That values.yaml shows all that the schema takes, but for the flags, which are many."""
    for name, inner in schema.get("properties", {}).items():
        if f"{at}{name}" in ("global", "extractor.resources.claims"):
            continue
        if name not in values and at.rsplit(".", 2)[-2:-1] not in (["settings"], ["resources"]):
            faults.append(f"values.yaml does not show {at}{name}")
        elif isinstance(values.get(name), dict):
            commented(inner, values[name], f"{at}{name}.", faults)


def check_chart(faults: list[str]) -> None:
    """The chart itself: its schema, its values, its version."""
    chart = ROOT / "deploy/helm/graft"
    schema = json.loads((chart / "values.schema.json").read_text())
    documented(schema, "", faults)
    commented(schema, yaml.safe_load((chart / "values.yaml").read_text()), "", faults)
    check_flags(schema, faults)
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    if about["appVersion"] != version:
        faults.append(f"Chart.yaml: appVersion is {about['appVersion']}, and Graft's version is {version}")


def main() -> None:
    """All checks of all files."""
    faults: list[str] = []
    check_chart(faults)
    check_compose(faults)
    count = 0
    for path in map(Path, sys.argv[1:]):
        here: list[str] = []
        objects = [one for one in yaml.safe_load_all(path.read_text()) if one]
        for one in objects:
            check_schema(one, here)
        # What the schemas do not know cannot be looked at more closely.
        if not here:
            check_objects(objects, here)
            for one in objects:
                if one["kind"] == "Deployment":
                    check_pod(one, objects, here)
        faults += [f"{path.name}: {fault}" for fault in here]
        count += len(objects)
    for fault in faults:
        print(f"chart: {fault}", file=sys.stderr)
    print(f"{count} objects in {len(sys.argv) - 1} files, {len(faults)} faults")
    sys.exit(bool(faults) or not count)


main()
