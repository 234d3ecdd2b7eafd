# Runs retrains for work pools of Docker and Kubernetes (docs/operations.md). From the repository's root:
#   docker build -f docker/retrain.Dockerfile -t varjepa-retrain .
ARG PYTHON_IMAGE=python:3.11-slim-trixie@sha256:90744cff8f32887f075c47d747a173ff333e9e98801667af93c357fa9f5e28ff
FROM ${PYTHON_IMAGE}
# As in serve.Dockerfile: an index with CPU builds of torch saves gigabytes.
ARG PIP_EXTRA_INDEX_URL
WORKDIR /app
COPY pyproject.toml README.md requirements.lock ./
COPY varjepa varjepa
COPY configs configs
RUN if [ -z "$PIP_EXTRA_INDEX_URL" ]; then pip install --no-cache-dir --require-hashes -r requirements.lock; fi \
    && pip install --no-cache-dir '.[s3,postgres]' && useradd --create-home --uid 1000 retrain
WORKDIR /home/retrain
# Written to: mlruns, which is empty in every new container (docs/machines.md), and /tmp.
RUN cp -r /app/configs . && mkdir mlruns && chown retrain mlruns
USER retrain
ENV HOME=/tmp PREFECT_HOME=/tmp/prefect MLFLOW_DISABLE_TELEMETRY=true
