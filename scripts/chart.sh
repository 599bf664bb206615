#!/usr/bin/env bash
# Checks the Helm chart: lints it, renders each example, checks what comes out, and that wrong values are refused.
# With --write, deploy/manifests becomes what the chart renders.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/helm.sh
helm=target/tools/helm
chart=deploy/helm/graft
kubernetes=1.33.0
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

# helm tells of each link that it follows. Nobody's own settings play a part.
export HELM_CACHE_HOME=$fresh/helm HELM_CONFIG_HOME=$fresh/helm HELM_DATA_HOME=$fresh/helm
helm() { "$PWD/$helm" "$@" 2> >(grep -v 'found symbolic link' >&2); }
render() { # render NAME [ARGUMENT...]
  helm template graft "$chart" --namespace graft --kube-version "$kubernetes" "$@"
}

mkdir -p "$fresh/manifests"
for values in deploy/helm/examples/*.yaml; do
  name=$(basename "$values" .yaml)
  helm lint --strict --quiet "$chart" --values "$values"
  {
    echo "# What deploy/helm/graft renders with deploy/helm/examples/$name.yaml; scripts/chart.sh --write writes it anew."
    render --values "$values"
  } >"$fresh/manifests/$name.yaml"
  # Every object is one that kubectl reads.
  target/tools/kubectl annotate --local --filename "$fresh/manifests/$name.yaml" checked=yes --output name >/dev/null
done
if [ "${1:-}" = --write ]; then
  mkdir -p deploy/manifests
  rm -f deploy/manifests/*.yaml
  cp "$fresh"/manifests/*.yaml deploy/manifests/
fi
diff --recursive --unified deploy/manifests "$fresh/manifests" || {
  echo "chart: deploy/manifests is not what the chart renders: run scripts/chart.sh --write" >&2
  exit 1
}
.venv/bin/python scripts/chart-check.py "$fresh"/manifests/*.yaml
# What the values can say otherwise than the examples do.
render --set networkPolicy.enabled=false --set trainer.service.type=LoadBalancer --set extractor.serviceAccount.create=false \
  --set trainer.storage.local.existingClaim=mine --set trainer.extractors.own=false --set 'trainer.extractors.more={http://10.0.0.1:7401}' \
  --set nameOverride=scion --set imagePullSecrets[0].name=pull --set 'extractor.extraArgs={--threads=2}' \
  --set extractor.provider=tensorrt --set extractor.gpu.count=1 --set extractor.tensorrtCache.existingClaim=mine >"$fresh/other.yaml"
.venv/bin/python scripts/chart-check.py "$fresh/other.yaml"

refused() { # refused WORDS ARGUMENT...: rendering fails, and says WORDS
  local words=$1
  shift
  if render "$@" >/dev/null 2>"$fresh/said"; then
    echo "chart: $* is taken, and should not be" >&2
    exit 1
  fi
  grep -q -- "$words" "$fresh/said" || {
    echo "chart: $* is refused without '$words':" >&2
    cat "$fresh/said" >&2
    exit 1
  }
}
printf 'extractor:\n  replics: 2\n' >"$fresh/typo.yaml"
refused "additional properties 'replics' not allowed" --values "$fresh/typo.yaml"
refused "additional properties 'max-btach' not allowed" --set extractor.settings.max-btach=8
refused "additional properties 'egres' not allowed" --set networkPolicy.egres.enabled=true
refused "got string, want integer" --set trainer.settings.head-cache-mib=many
refused "/trainer/replicas" --set trainer.replicas=2
refused "/extractor/image/pullPolicy" --set extractor.image.pullPolicy=Sometimes
refused "/extractor/drainSeconds" --set extractor.drainSeconds=-1
refused "needs a GPU" --set extractor.provider=cuda
refused "keda.serverAddress" --set extractor.autoscaling.kind=keda
refused "nothing to scale by" --set extractor.autoscaling.kind=hpa --set extractor.autoscaling.hpa.cpuPercent=0
refused "shared.artifacts" --set trainer.storage.kind=shared --set trainer.storage.shared.databaseSecret.name=x
refused "databaseSecret.name" --set trainer.storage.kind=shared --set trainer.storage.shared.artifacts=s3://b/p
refused "there is none" --set trainer.extractors.own=false
echo "chart: lint, examples and refusals are fine"
