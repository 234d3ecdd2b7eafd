"""MLflow's client with the redactor before everything that it writes as text."""

import json
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag

from varjepa.redaction import redacted, redacted_data


def redacted_value(text: str) -> str:
    r"""The value of a tag or parameter without secrets. One that is JSON stays JSON: programs read it again.

    Examples:
        >>> redacted_value('{"why": "password=\\"abc\\" was tried", "before": null}')
        '{"why": "password=*** was tried", "before": null}'
    """
    data = _loaded(text)
    if data is None:
        return redacted(text)
    safe = redacted_data(data)
    kept = text if safe == data else json.dumps(safe)
    clean = redacted(kept)  # the name of a key may say that its value is a secret
    return kept if _loaded(clean) is None else clean


def _loaded(text: str) -> Any:
    """What a text holds that is a mapping or a list in JSON; None for any other."""
    try:
        return json.loads(text) if text[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        return None


class RedactingClient(MlflowClient):
    """Tags, parameters, descriptions and small artifacts pass the redactor; files are made by our own pages.

    MLflow asks before everything that it writes about a registered model whether the name is that of a prompt. Here it
    asks once for each name: a retrain writes sixteen times.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._models: set[str] = set()

    def _raise_if_prompt(self, name: str) -> None:
        if name not in self._models:
            super()._raise_if_prompt(name)
            self._models.add(name)

    def log_batch(
        self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = (), synchronous: Any = None,
    ) -> Any:  # fmt: skip
        params = [Param(param.key, redacted_value(param.value)) for param in params]
        tags = [RunTag(tag.key, redacted_value(tag.value)) for tag in tags]
        return super().log_batch(run_id, metrics, params, tags, synchronous)

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: Any = None) -> Any:
        return super().set_tag(run_id, key, redacted_value(str(value)), synchronous)

    def create_run(
        self, experiment_id: str, start_time: int | None = None, tags: Any = None, run_name: Any = None
    ) -> Any:
        tags = {key: redacted_value(str(value)) for key, value in (tags or {}).items()}
        return super().create_run(experiment_id, start_time, tags, redacted_data(run_name))

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        super().log_dict(run_id, redacted_data(dictionary), artifact_file)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        super().log_text(run_id, redacted(text), artifact_file)

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        super().set_registered_model_tag(name, key, redacted_value(str(value)))

    def set_model_version_tag(
        self, name: str, version: Any = None, key: Any = None, value: Any = None, stage: Any = None
    ) -> None:
        super().set_model_version_tag(name, version, key, redacted_value(str(value)), stage)

    def update_model_version(self, name: str, version: str, description: str | None = None) -> Any:
        return super().update_model_version(name, version, redacted_data(description))

    def update_registered_model(
        self, name: str, description: str | None = None, deployment_job_id: str | None = None
    ) -> Any:
        return super().update_registered_model(name, redacted_data(description), deployment_job_id)
