#!/usr/bin/env bash
# Checks alerts, dashboards and the page of metrics against the source, and runs the alerts' tests.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/promtool.sh
promtool=target/tools/promtool
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$promtool" check rules deploy/alerts/graft.yaml >/dev/null
"$promtool" test rules deploy/alerts/graft.test.yaml >/dev/null
"$promtool" check config --syntax-only deploy/prometheus.yml >/dev/null
.venv/bin/python scripts/metrics-check.py --rules "$fresh/dashboards.yaml"
"$promtool" check rules "$fresh/dashboards.yaml" >/dev/null
# The rules have no fault of style that promtool knows, either.
"$promtool" check rules --lint=all --lint-fatal deploy/alerts/graft.yaml >/dev/null
echo "alerts: rules, tests, dashboards and the page of metrics are fine"
