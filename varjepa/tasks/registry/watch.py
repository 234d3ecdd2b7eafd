"""What `varjepa drift` goes by: settings of the last retrain that made a model, as a tag of its version.

A job with other settings for drift, or with another experiment, may make the same model, which is not registered again:
what lies in the model's folder would be outdated.
"""

from typing import TYPE_CHECKING

from varjepa.config import RetrainConfig
from varjepa.config.base import Section
from varjepa.config.operations import DriftSection, NotifySection
from varjepa.tasks.registry.open_model import registered_version, version_of
from varjepa.tasks.registry.tags import WATCH_TAG
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Watch(Section):
    """What `varjepa drift` goes by.

    Attributes:
        drift: thresholds and sizes.
        experiment: that the runs of `varjepa drift` belong to.
        notify: rules for messages about the model.
    """

    drift: DriftSection
    experiment: str
    notify: tuple[NotifySection, ...] = ()

    @classmethod
    def of(cls, config: RetrainConfig) -> "Watch":
        """The settings of a job."""
        return cls(drift=config.drift, experiment=config.tracking.experiment, notify=config.notify)


def write_watch(client: "MlflowClient", name: str, version: int, config: RetrainConfig) -> None:
    """Stores the settings of a job with the version that it made, or would have made."""
    client.set_model_version_tag(name, str(version), WATCH_TAG, Watch.of(config).model_dump_json())


def rules_of(model: str, tracking_uri: str | None) -> tuple[NotifySection, ...]:
    """The rules for messages of a registered version's last retrain."""
    name, version = registered_version(model, tracking_uri)
    text = client_for(store(tracking_uri)).get_model_version(name, version).tags.get(WATCH_TAG)
    return () if text is None else Watch.model_validate_json(text).notify


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
