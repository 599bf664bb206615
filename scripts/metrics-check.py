#!/usr/bin/env python3
"""Check that docs/metrics.md, the alerts and the dashboards tell of the metrics that the services export, and of no others.

The table is compared with the source both ways: name, type and labels. Queries may use no other metric and no other label. Each
alert has a run book, each run book an alert or a place in the index. `--rules FILE` writes the queries as rules, for
promtool to parse.
"""

import json
import re
import sys
from pathlib import Path

import yaml

from exported import ROOT, Metric, exported

RUNBOOKS = ROOT / "docs/runbooks"
# What Prometheus itself tells of each target, and what it adds to each series.
OF_PROMETHEUS = {"up"}
OF_TARGETS = {"namespace", "pod", "job", "instance", "le"}
ROW = re.compile(r"^\| `(graft_\w+)` \| (\w+) \| ([^|]*)\| (\w+) \|", re.M)
# A metric, perhaps with its matchers.
SELECTOR = re.compile(r"\b(graft_\w+|up)\b(?:\{((?:[^}\"]|\"(?:[^\"\\]|\\.)*\")*)\})?")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
# Grafana's variables, as something that PromQL can read.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}

faults: list[str] = []


def table() -> dict[str, Metric]:
    """What docs/metrics.md says."""
    text = (ROOT / "docs/metrics.md").read_text()
    return {
        name: Metric(kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in ROW.findall(text)
    }


def compare(told: dict[str, Metric], real: dict[str, Metric]) -> None:
    """The table with the source."""
    for name in sorted(real.keys() - told.keys()):
        faults.append(f"docs/metrics.md lacks {name}, which the services export")
    for name in sorted(told.keys() - real.keys()):
        faults.append(f"docs/metrics.md has {name}, which no service exports")
    for name in sorted(told.keys() & real.keys()):
        if told[name] != real[name]:
            faults.append(
                f"docs/metrics.md: {name} is a {told[name].kind} by {sorted(told[name].labels)}, but the source has {real[name]}"
            )


def base(name: str, real: dict[str, Metric]) -> str | None:
    """The metric that a series belongs to."""
    if name in real:
        return None if real[name].kind == "histogram" else name
    stem = re.sub(r"_(bucket|sum|count)$", "", name)
    return stem if stem != name and stem in real and real[stem].kind == "histogram" else None


def check_query(where: str, query: str, real: dict[str, Metric]) -> None:
    """That a query names what is there."""
    known = set(OF_TARGETS)
    used = []
    for name, matchers in SELECTOR.findall(query):
        if name in OF_PROMETHEUS:
            continue
        metric = base(name, real)
        if metric is None:
            faults.append(f"{where}: {name} is no series that a service exports")
            continue
        known |= real[metric].labels
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"(?:[^"\\]|\\.)*"', '""', matchers)))
        used.append((name, labels, real[metric].labels | OF_TARGETS))
    for name, labels, possible in used:
        if labels - possible:
            faults.append(f"{where}: {name} has no label {', '.join(sorted(labels - possible))}")
    for group in GROUPING.findall(query):
        for label in filter(None, (label.strip() for label in group.split(","))):
            if label not in known:
                faults.append(f"{where}: nothing in the query has the label {label}")


def alerts() -> list[dict]:
    """All alerts."""
    rules = yaml.safe_load((ROOT / "deploy/alerts/graft.yaml").read_text())
    return [rule for group in rules["groups"] for rule in group["rules"]]


def check_alert(alert: dict) -> None:
    """That an alert has what whoever it wakes needs."""
    name, notes = alert["alert"], alert.get("annotations", {})
    if alert.get("labels", {}).get("severity") not in ("critical", "warning", "info"):
        faults.append(f"{name}: labels.severity is none of critical, warning, info")
    if not notes.get("summary"):
        faults.append(f"{name}: there is no annotation `summary`")
    page = ROOT / notes.get("runbook_url", "")
    if page.parent != RUNBOOKS or not page.is_file():
        faults.append(f"{name}: runbook_url is {notes.get('runbook_url')}, which is no file of docs/runbooks")
    elif name not in page.read_text():
        faults.append(f"{page.relative_to(ROOT)} does not name {name}")


def check_runbooks(all_alerts: list[dict]) -> None:
    """That the index has every page, and links lead somewhere."""
    index = (RUNBOOKS / "README.md").read_text()
    of_alerts = {alert["annotations"]["runbook_url"].rsplit("/", 1)[-1] for alert in all_alerts}
    tested = (ROOT / "deploy/alerts/graft.test.yaml").read_text()
    for alert in all_alerts:
        expected = re.search(rf"alertname: {alert['alert']}\n\s+exp_alerts:", tested)
        quiet = re.search(rf"alertname: {alert['alert']} }}", tested)
        if not expected:
            faults.append(f"deploy/alerts/graft.test.yaml does not raise {alert['alert']}")
        if not quiet and len(re.findall(rf"alertname: {alert['alert']}\n", tested)) < 1:
            faults.append(f"deploy/alerts/graft.test.yaml has no case that leaves {alert['alert']} quiet")
    for page in sorted(RUNBOOKS.glob("*.md")):
        if page.name != "README.md" and f"({page.name})" not in index:
            faults.append(f"docs/runbooks/README.md does not list {page.name}")
        heading = page.read_text().splitlines()[0]
        if heading.startswith("# Graft") and page.name not in of_alerts:
            faults.append(f"docs/runbooks/{page.name} is of an alert that is not there")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / link).exists():
                faults.append(f"docs/runbooks/{page.name}: {link} is not there")


def queries(panels: list[dict]) -> list[tuple[str, str]]:
    """The queries of panels, those in rows included, each with its panel's title."""
    inner = [query for panel in panels for query in queries(panel.get("panels", []))]
    return inner + [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


def dashboards(real: dict[str, Metric]) -> list[dict]:
    """Check all dashboards; gives back their queries as rules."""
    rules, uids = [], set()
    for path in sorted((ROOT / "deploy/dashboards").glob("*.json")):
        board, where = json.loads(path.read_text()), path.name
        if not board.get("uid") or board["uid"] in uids:
            faults.append(f"{where}: the uid {board.get('uid')} is none, or another dashboard's")
        uids.add(board.get("uid"))
        found = queries(board["panels"])
        if not found:
            faults.append(f"{where}: there is no query")
        variables = [
            (f"variable {one['name']}", one["query"]) for one in board["templating"]["list"] if one["type"] == "query"
        ]
        for title, query in found:
            check_query(f"{where}, {title}", query, real)
            for variable, value in VARIABLES.items():
                query = query.replace(variable, value)
            query = re.sub(r"\$\{?\w+\}?", "x", query)
            rules.append({"record": f"panel:{len(rules)}", "expr": query, "labels": {"panel": f"{where}, {title}"}})
        for title, query in variables:
            inside = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
            if inside:
                check_query(f"{where}, {title}", f"count by ({inside[2]}) ({inside[1]})", real)
            else:
                faults.append(f"{where}, {title}: {query} is no label_values(SERIES, LABEL)")
    if not rules:
        faults.append("deploy/dashboards: there is none")
    return rules


def of_scaling(real: dict[str, Metric]) -> list[dict]:
    """Check what extractors are scaled by; gives back the queries as rules."""
    adapter = yaml.safe_load((ROOT / "deploy/prometheus-adapter.yaml").read_text())["rules"]["external"]
    found = [
        ("prometheus-adapter.yaml", rule[key].replace("<<.LabelMatchers>>", 'namespace="x"'))
        for rule in adapter
        for key in ("seriesQuery", "metricsQuery")
    ]
    made = {rule["name"]["as"] for rule in adapter}
    for path in sorted((ROOT / "deploy/manifests").glob("*.yaml")):
        for one in filter(None, yaml.safe_load_all(path.read_text())):
            if one["kind"] == "ScaledObject":
                found += [(path.name, trigger["metadata"]["query"]) for trigger in one["spec"]["triggers"]]
            if one["kind"] == "HorizontalPodAutoscaler":
                asked = {
                    metric["external"]["metric"]["name"]
                    for metric in one["spec"]["metrics"]
                    if metric["type"] == "External"
                }
                faults.extend(
                    f"{path.name}: prometheus-adapter.yaml does not make {name}" for name in sorted(asked - made)
                )
    if len(found) < 3:
        faults.append("deploy/manifests: no ScaledObject was found")
    for where, query in found:
        check_query(where, query, real)
    return [{"record": f"scaling:{index}", "expr": query} for index, (_, query) in enumerate(found)]


def main() -> None:
    """All checks."""
    real = exported()
    compare(table(), real)
    all_alerts = alerts()
    for alert in all_alerts:
        check_query(alert["alert"], alert["expr"], real)
        check_alert(alert)
    check_runbooks(all_alerts)
    rules = dashboards(real) + of_scaling(real)
    if sys.argv[1:2] == ["--rules"]:
        Path(sys.argv[2]).write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    for fault in faults:
        print(f"metrics: {fault}", file=sys.stderr)
    print(
        f"{len(real)} metrics, {len(all_alerts)} alerts, {len(rules)} queries of dashboards and scaling, {len(faults)} faults"
    )
    sys.exit(bool(faults))


main()
