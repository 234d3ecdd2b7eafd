# Serves one registered version (docs/serving.md). From the repository's root:
#   docker build -f docker/serve.Dockerfile -t varjepa-serve .
#   docker run -p 127.0.0.1:8080:8080 --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#       -e MODEL=models:/customers@champion -e MLFLOW_TRACKING_URI varjepa-serve
# MLflow checks no signature. `varjepa serve` does (docs/signing.md); mount the public key, and add to the arguments of docker run:
#       -v "$PWD/trusted.pem:/run/secrets/trusted.pem:ro" -e VARJEPA_TRUSTED_KEYS=/run/secrets/trusted.pem
#   and after the name of the image: varjepa serve models:/customers@champion --host 0.0.0.0
ARG PYTHON_IMAGE=python:3.11-slim-trixie@sha256:90744cff8f32887f075c47d747a173ff333e9e98801667af93c357fa9f5e28ff
FROM ${PYTHON_IMAGE}
# An index with CPU builds of torch saves gigabytes: --build-arg PIP_EXTRA_INDEX_URL=... Its files have other hashes than
# those in requirements.lock, so versions then follow pyproject.toml alone.
ARG PIP_EXTRA_INDEX_URL
WORKDIR /app
COPY pyproject.toml README.md requirements.lock ./
COPY varjepa varjepa
COPY configs configs
RUN if [ -z "$PIP_EXTRA_INDEX_URL" ]; then pip install --no-cache-dir --require-hashes -r requirements.lock; fi \
    && pip install --no-cache-dir . && useradd --create-home serving
USER serving
WORKDIR /home/serving
# Nothing is written outside of /tmp, so the container may be read-only.
ENV HOME=/tmp MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false MLFLOW_DISABLE_TELEMETRY=true
EXPOSE 8080
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/ping')"]
CMD exec mlflow models serve -m "${MODEL:?Set MODEL to the model to serve, such as models:/customers@champion}" \
    --env-manager local --host 0.0.0.0 --port 8080
