#!/bin/sh
# Retrains every night if something has changed, and compares new rows with the champion every hour. Ctrl-C ends both.
set -eu
cd "$$(dirname "$$0")"
varjepa schedule $name.yaml --cron "0 3 * * *" --server --port $${PREFECT_PORT:-4200} &
scheduled=$$!
trap 'kill "$$scheduled" 2>/dev/null; wait "$$scheduled"' EXIT INT TERM
PREFECT_API_URL="http://127.0.0.1:$${PREFECT_PORT:-4200}/api"
export PREFECT_API_URL
until python -c "import os, urllib.request as r; r.urlopen(os.environ['PREFECT_API_URL'] + '/health')" 2>/dev/null; do sleep 1; done
varjepa watch $name.yaml --cron "30 * * * *"
