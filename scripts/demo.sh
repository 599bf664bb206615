#!/usr/bin/env bash
# The main job on real input: rows of Fashion-MNIST in, a served classifier out.
set -euo pipefail
cd "$(dirname "$0")/.."

graft=target/release/graft
head=fashion
data=$(mktemp -d)
begun=$SECONDS

# Four free ports, all held until the last is known, so that they differ.
read -r trainer extractor trainer_metrics extractor_metrics < <(python3 - <<'PYTHON'
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(f"127.0.0.1:{listener.getsockname()[1]}" for listener in held))
PYTHON
)
export GRAFT_TRAINER=http://$trainer GRAFT_EXTRACTOR=http://$extractor

# What it says is kept beside being shown: that is how a script knows when both services are ready.
said=$data/up.log
"$graft" up --data-dir "$data/services" --trainer-listen "$trainer" --extractor-listen "$extractor" \
  --trainer-metrics-listen "$trainer_metrics" --extractor-metrics-listen "$extractor_metrics" 2> >(tee "$said" >&2) &
up=$!
finish() {
  kill -INT "$up" 2>/dev/null || true
  wait "$up" 2>/dev/null || true
  rm -rf "$data"
}
trap finish EXIT

until grep -qs '^ready' "$said"; do
  kill -0 "$up" 2>/dev/null || { echo "demo: the services did not start" >&2; exit 1; }
  sleep 0.1
done

echo "== importing 2,000 rows to train on and 1,000 to test on; each becomes an embedding of 1,280 numbers"
"$graft" import "$head" data/fashion-mnist/train-2000.csv.gz --split train
"$graft" import "$head" data/fashion-mnist/test-1000.csv.gz --split test
echo
echo "== training"
"$graft" train "$head"
echo
echo "== classifying test rows, as any gRPC client would"
"$graft" classify "$head" --rows data/fashion-mnist/test-1000.csv.gz --limit 5

accuracy=$("$graft" heads show "$head" --output json | python3 -c 'import json, sys; print(json.load(sys.stdin)["report"]["accuracy"])')
took=$((SECONDS - begun))
echo
echo "accuracy $accuracy in $took seconds"
python3 -c "import sys; sys.exit(0 if $accuracy >= 0.865 else 'demo: the accuracy is below 0.865')"
if [ "$took" -gt "${DEMO_SECONDS:-60}" ]; then echo "demo: this took longer than ${DEMO_SECONDS:-60} seconds" >&2; exit 1; fi

cat <<'NEXT'

To go on with your own photos, one sub-folder a class:
  target/release/graft up                          # in one terminal
  target/release/graft import mine path/to/photos  # in another
  target/release/graft train mine
  target/release/graft classify mine some-photo.jpg
NEXT
