"""How pytest-xdist shares the suite among its workers: slow files first, files that share a model to one worker."""

import pytest
from xdist.scheduler import LoadFileScheduling

SLOW_FIRST = [
    f"tests/{name}.py"
    for name in (
        "browser/test_ui", "flows/test_recovery", "flows/test_machines", "flows/test_together", "flows/test_schedule",
        "flows/test_hostile_text",
        "flows/test_gate", "flows/test_infer", "flows/test_retrain",
        "flows/test_card", "flows/test_serving", "flows/test_serve", "flows/test_watch", "flows/test_dependence",
        "flows/test_benchmark", "unit/test_examples", "browser/test_prefect_ui", "flows/test_notify",
        "flows/test_stores", "flows/test_spelled", "flows/test_messy_tables",
        "flows/test_tune", "flows/test_secrets", "flows/test_clean",
        "flows/test_partitions", "flows/test_drift", "flows/test_champion", "flows/test_servers",
        "unit/tasks/sources/test_databases",
        "unit/training/test_distributed", "unit/training/test_loop", "flows/test_refused", "flows/test_init",
        "flows/test_simulate", "flows/test_work_pools", "flows/test_work_store", "unit/tasks/work_store/test_lease",
        "unit/tasks/work_store/test_results", "unit/tasks/retrain/test_embeddings",
    )
]  # fmt: skip
"""Files that take long, the longest first: started last, one of them would keep a single worker busy."""

SHARED_MODELS = {
    "handed_over": ("flows/test_retrain", "flows/test_card", "flows/test_serving", "flows/test_serve",
                    "flows/test_watch", "flows/test_signing", "flows/test_verify", "flows/test_few_labels",
                    "flows/test_similar", "flows/test_moved", "flows/test_fuzzed_command_lines",
                    "unit/tasks/reports/test_pages"),
    "hostile_home": ("flows/test_hostile_text", "browser/test_hostile_pages"),
    "world": ("unit/inference/test_generator_quality", "unit/inference/test_profile", "unit/inference/test_reasons",
              "unit/inference/generator/test_table_generator", "unit/inference/test_gate_evidence",
              "unit/inference/test_calibration", "unit/inference/test_storage", "unit/inference/test_manifest",
              "unit/inference/test_cell_events", "unit/inference/vectors/test_compact", "statistical/test_generator",
              "statistical/test_anomaly"),
}  # fmt: skip
"""Session fixtures that train a model, and the files that use them: each worker would train its own."""

_FIXTURES = {f"tests/{file}.py": fixture for fixture, files in SHARED_MODELS.items() for file in files}


def slow_files_first(items: list[pytest.Item]) -> None:
    """Sorts collected tests; the order within a file, and of all other files, stays."""
    ranks = {file: rank for rank, file in enumerate(SLOW_FIRST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))


def mark_shared_models(items: list[pytest.Item]) -> None:
    """Marks the tests that use a shared model as slow: the first of them trains it."""
    for item in items:
        file, used = item.nodeid.partition("::")[0], getattr(item, "fixturenames", ())  # a doctest has none
        for fixture in SHARED_MODELS.keys() & set(used):
            item.add_marker(pytest.mark.slow)
            if _FIXTURES.get(file) != fixture:
                raise pytest.UsageError(f"{file} uses {fixture}: list it in tests/scheduling.py, SHARED_MODELS")


class SharedModelScheduling(LoadFileScheduling):
    """Gives workers one file after the other, in the order of collection, and all files of a shared model at once."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # files with many tests first: many tests are not what takes long

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _FIXTURES.get(file, file)
