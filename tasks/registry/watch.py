"""What `varjepa drift` goes by: settings of the last retrain that made a model, as a tag of its version.

A job with other settings for drift, or with another experiment, may make the same model, which is not registered again:
what lies in the model's folder would be outdated.
"""

from typing import TYPE_CHECKING

from tasks.registry.open_model import version_of
from tasks.registry.tags import WATCH_TAG
from tasks.tracking.store import client_for
from tasks.tracking.uris import store
from varjepa.config import RetrainConfig
from varjepa.config.base import Section
from varjepa.config.operations import DriftSection

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Watch(Section):
    """What `varjepa drift` goes by.

    Attributes:
        drift: thresholds and sizes.
        experiment: that the runs of `varjepa drift` belong to.
    """

    drift: DriftSection
    experiment: str

    @classmethod
    def of(cls, config: RetrainConfig) -> "Watch":
        """The settings of a job."""
        return cls(drift=config.drift, experiment=config.tracking.experiment)


def write_watch(client: "MlflowClient", name: str, version: int, config: RetrainConfig) -> None:
    """Stores the settings of a job with the version that it made, or would have made."""
    client.set_model_version_tag(name, str(version), WATCH_TAG, Watch.of(config).model_dump_json())


def watch_of(model: str, tracking_uri: str | None, config: RetrainConfig) -> Watch:
    """The settings for a model: of its last retrain where it is registered, otherwise those in its folder.

    Args:
        model: a registry URI, a run id or a folder, as for `open_model`.
        tracking_uri: tracking store; None means the default one.
        config: in the model's folder.
    """
    version = version_of(model, tracking_uri)
    if version is not None:
        tags = client_for(store(tracking_uri)).get_model_version(*version).tags
        if WATCH_TAG in tags:  # versions of earlier releases have none
            return Watch.model_validate_json(tags[WATCH_TAG])
    return Watch.of(config)
