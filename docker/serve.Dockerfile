# Serves one registered version (docs/serving.md). From the repository's root:
#   docker build -f docker/serve.Dockerfile -t varjepa-serve .
#   docker run -p 8080:8080 -e MODEL=models:/customers@champion -e MLFLOW_TRACKING_URI varjepa-serve
FROM python:3.11-slim
# An index with CPU builds of torch saves gigabytes: --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL
WORKDIR /app
COPY pyproject.toml README.md ./
COPY varjepa varjepa
COPY tasks tasks
COPY flows flows
RUN pip install --no-cache-dir . && useradd --create-home serving
USER serving
WORKDIR /home/serving
ENV MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false MLFLOW_DISABLE_TELEMETRY=true
EXPOSE 8080
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/ping')"]
CMD exec mlflow models serve -m "${MODEL:?Set MODEL to the model to serve, such as models:/customers@champion}" \
    --env-manager local --host 0.0.0.0 --port 8080
