# The tracking server and the Prefect server; docker/compose.yaml starts both from this image.
ARG PYTHON_IMAGE=python:3.11-slim-trixie@sha256:90744cff8f32887f075c47d747a173ff333e9e98801667af93c357fa9f5e28ff
FROM ${PYTHON_IMAGE}
# Version bounds as in pyproject.toml (a test compares them). boto3 is for artifacts in s3.
RUN pip install --no-cache-dir \
    "mlflow>=3.17.2,<4" \
    "prefect>=3.8.8,<3.10" \
    "fastapi>=0.139,<0.151" \
    "sqlalchemy>=2.0.40,<2.1" \
    "psycopg2-binary>=2.9.10,<3" \
    "boto3>=1.34,<2"
RUN useradd --create-home servers && mkdir /artifacts && chown servers /artifacts
USER servers
WORKDIR /home/servers
# Nothing is written outside of /tmp and /artifacts, so the containers are read-only.
ENV HOME=/tmp PREFECT_HOME=/tmp/prefect
