"""Events of OpenLineage, built of its own types. Imported only where events are sent."""

import os
import sys
from datetime import UTC, datetime
from typing import Any

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    datasource_dataset,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    tags_run,
)

from varjepa import __version__
from varjepa.redaction import redacted
from varjepa.tasks.lineage.record import Record, State
from varjepa.tasks.lineage.tables import Table
from varjepa.visible import visible

LONGEST = 4000
"""Most characters of a reason."""

set_producer(f"pkg:pypi/varjepa@{__version__}")


def namespace() -> str:
    """Of the jobs."""
    return os.environ.get("OPENLINEAGE_NAMESPACE") or "varjepa"


def event(record: Record, state: State, reason: str | None = None) -> RunEvent:
    """An event with all that is known of the run by now.

    Args:
        record: of the run.
        state: that it has come to.
        reason: why it has failed or was interrupted.
    """
    facets: dict[str, Any] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(version=__version__, name="varjepa")
    }
    if (parent := _parent(record)) is not None:
        facets["parent"] = parent
    if (planned := _planned()) is not None:
        facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(nominalStartTime=planned.isoformat())
    if record.tags:
        tags = [tags_run.TagsRunFacetFields(key, value, "varjepa") for key, value in record.tags.items()]
        facets["tags"] = tags_run.TagsRunFacet(tags=tags)
    if reason is not None:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=visible(redacted(reason))[:LONGEST], programmingLanguage="python"
        )
    kind = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="VARJEPA", jobType="FLOW")
    return RunEvent(
        eventType=RunState[state], eventTime=datetime.now(UTC).isoformat(), run=Run(record.run_id, facets),
        job=Job(namespace(), _shown(record.job), {"jobType": kind}),
        inputs=[_input(table) for table in record.inputs.values()],
        outputs=[_output(table) for table in record.outputs.values()],
    )  # fmt: skip


def _shown(job: str) -> str:
    return visible(redacted(job))


def _parent(record: Record) -> Any:
    """The run that this one is part of: of our own, or the one of the scheduler that has started this process."""
    if record.parent is not None:
        run, job = parent_run.Run(record.parent.run_id), parent_run.Job(namespace(), _shown(record.parent.job))
        return parent_run.ParentRunFacet(run, job)
    parts = os.environ.get("OPENLINEAGE_PARENT_ID", "").rsplit("/", 2)
    if len(parts) != 3:
        return None
    try:
        return parent_run.ParentRunFacet(parent_run.Run(parts[2]), parent_run.Job(parts[0], parts[1]))
    except ValueError:  # the id is no UUID
        return None


def _planned() -> datetime | None:
    """When a schedule has planned this flow run for."""
    if "prefect" not in sys.modules:
        return None
    from prefect.runtime import flow_run

    return flow_run.scheduled_start_time if flow_run.id else None


def _facets(table: Table) -> dict[str, Any]:
    where = table.name.namespace
    facets: dict[str, Any] = {"dataSource": datasource_dataset.DatasourceDatasetFacet(name=where, uri=where)}
    if table.columns:
        fields = [
            schema_dataset.SchemaDatasetFacetFields(visible(column), kind, ordinal_position=number)
            for number, (column, kind) in enumerate(table.columns.items(), start=1)
        ]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    if table.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=table.version)
    return facets


def _input(table: Table) -> InputDataset:
    counts: dict[str, Any] = {}
    if table.rows is not None:
        counts["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=table.rows)
    return InputDataset(*table.name, inputFacets=counts, facets=_facets(table))


def _output(table: Table) -> OutputDataset:
    counts: dict[str, Any] = {}
    if table.rows is not None:
        counts["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=table.rows
        )
    return OutputDataset(*table.name, outputFacets=counts, facets=_facets(table))
