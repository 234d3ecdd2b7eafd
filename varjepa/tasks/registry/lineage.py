"""Models as inputs of the flow in progress."""

from varjepa.tasks.lineage.record import reads, recording
from varjepa.tasks.lineage.tables import Name, Table, model
from varjepa.tasks.registry.open_model import version_of
from varjepa.tasks.tracking.uris import store


def reads_model(name: str, tracking_uri: str | None) -> None:
    """Notes a model as an input: by its version where it is registered.

    Args:
        name: as for `open_model`.
        tracking_uri: tracking store; None means the default one.
    """
    if not recording():
        return
    version = version_of(name, tracking_uri)
    reads(Table(Name("file", name)) if version is None else model(*version, store(tracking_uri)))
