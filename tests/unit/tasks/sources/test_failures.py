"""What libraries say of a place that does not answer."""

import pytest

from varjepa.errors import InterruptedReadError
from varjepa.tasks.sources.failures import failure


@pytest.mark.parametrize("seconds", ["403.792465ms", "404ms", "401.2s", "12.403s"])
def test_the_time_that_an_attempt_took_is_no_code_of_an_answer(seconds: str) -> None:
    text = f"Generic S3 error: Error performing PUT http://127.0.0.1:42149/tables/x in {seconds}, after 3 retries"
    error = failure(OSError(f"{text}, max_retries: 3 - HTTP error: error sending request"), "s3://tables/x")
    assert isinstance(error, InterruptedReadError)
    assert str(error).startswith("s3://tables/x does not answer")
