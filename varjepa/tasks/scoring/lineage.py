"""Files of scores as inputs and outputs of the flow in progress."""

from varjepa.tasks.lineage.record import reads, recording, writes
from varjepa.tasks.lineage.tables import Table
from varjepa.tasks.registry.lineage import reads_model
from varjepa.tasks.sources.named import named_place


def note_files(model: str, tracking_uri: str | None, source: str, out: str, rows: int) -> None:
    """Notes what a model was applied to, and what was written.

    Args:
        model: as for `open_model`.
        tracking_uri: tracking store; None means the default one.
        source: of the rows; empty where they were drawn.
        out: where the answers lie.
        rows: number of rows written.
    """
    if not recording():
        return
    reads_model(model, tracking_uri)
    if source:
        reads(Table(named_place(source), rows=rows))
    writes(Table(named_place(out), rows=rows))
