#!/bin/sh
# Retrains every night if something has changed, and compares new rows with the champion every hour. Ctrl-C ends both, and
# so does a signal to this script alone. If one of them ends, the other does not go on by itself.
set -eu
cd "$$(dirname "$$0")"
port=$${PREFECT_PORT:-4200}
python=$$(command -v python3 || command -v python)
varjepa schedule $name.yaml --cron "0 3 * * *" --server --port "$$port" &
scheduled=$$!
watched=
trap 'exit 143' INT TERM
trap 'kill $$scheduled $$watched 2>/dev/null || :; wait' EXIT
PREFECT_API_URL="http://127.0.0.1:$$port/api"
export PREFECT_API_URL
asked="import os, urllib.request as r; r.urlopen(os.environ['PREFECT_API_URL'] + '/health', timeout=5)"
until "$$python" -c "$$asked" 2>/dev/null; do
  kill -0 "$$scheduled" 2>/dev/null || exit 1  # it has said why
  sleep 1
done
varjepa watch $name.yaml --cron "30 * * * *" &
watched=$$!
while kill -0 "$$scheduled" 2>/dev/null && kill -0 "$$watched" 2>/dev/null; do
  sleep 1
done
exit 1
