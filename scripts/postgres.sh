#!/usr/bin/env bash
# Gets the PostgreSQL that the tests of the shared storage start: its programs and its user are enough, no server need run.
set -euo pipefail
shopt -s nullglob
programs=(/usr/lib/postgresql/*/bin/initdb)
if [ ${#programs[@]} -gt 0 ] || command -v initdb >/dev/null; then exit 0; fi
echo "setup: installing postgresql" >&2
# The package would make a cluster and start it; the tests make their own.
configure='mkdir -p /etc/postgresql-common/createcluster.d && echo create_main_cluster=false >/etc/postgresql-common/createcluster.d/graft.conf'
install='apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null'
if [ "$(id -u)" = 0 ]; then
  sh -c "$configure && $install"
elif command -v sudo >/dev/null; then
  sudo sh -c "$configure && $install"
else
  echo "setup: PostgreSQL must be installed first: apt-get install postgresql" >&2
  exit 1
fi
