"""What processes log goes to the server that they work for, whatever the settings of the process say."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner

from varjepa.tasks.orchestration.runners import task_runner

SERVER = "http://127.0.0.1:9/api"


@pytest.mark.parametrize("ours", [True, False])
def test_the_thread_that_passes_on_logs_knows_the_server(monkeypatch: pytest.MonkeyPatch, *, ours: bool) -> None:
    """Prefect's own runner does not know it; once it does, ours is needed no more."""
    forward, seen = ProcessPoolTaskRunner._forward_subprocess_messages, []

    def watched(runner: ProcessPoolTaskRunner) -> None:
        seen.append(get_current_settings().api.url)
        forward(runner)

    monkeypatch.setattr(ProcessPoolTaskRunner, "_forward_subprocess_messages", watched)
    with temporary_settings({PREFECT_API_URL: SERVER}):
        runner = task_runner("processes", 1) if ours else ProcessPoolTaskRunner(max_workers=1)
        with runner:
            pass
    assert seen == [SERVER if ours else url_in_a_new_thread()]


def url_in_a_new_thread() -> str | None:
    """The server of the process, which a block around the tests hides from this thread alone."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: get_current_settings().api.url).result()
