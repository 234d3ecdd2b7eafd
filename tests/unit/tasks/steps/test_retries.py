"""Which failures are worth another attempt."""

import pytest
from prefect.states import Failed

from varjepa.errors import ConfigError, DataError, InterruptedReadError
from varjepa.tasks.steps.retries import may_help


@pytest.mark.parametrize(("error", "helps"), [
    (ConfigError("a key is unknown"), False), (DataError("no such file"), False),
    (InterruptedReadError("the server does not answer"), True), (OSError("the disk is gone"), True),
])  # fmt: skip
def test_a_retry_helps_against_places_and_not_against_mistakes(error: Exception, helps: bool) -> None:
    assert may_help(None, None, Failed(data=error)) is helps
