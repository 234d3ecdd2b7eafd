"""Numbers for people say nothing that the numbers themselves do not say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varjepa.amounts import UNDEFINED, figure, share
from varjepa.evaluation.outcomes import Promise
from varjepa.evaluation.uncertainty.certificate import Certificate

JUST_BELOW_ONE = 1 - 1e-12


@given(st.floats(0, JUST_BELOW_ONE), st.integers(0, 3))
def test_only_all_is_all_and_only_nothing_is_nothing(value: float, digits: int) -> None:
    percent = float(share(value, digits).removesuffix("%"))
    assert percent < 100
    assert (percent == 0) == (value == 0)
    assert percent == pytest.approx(100 * value, rel=0.06, abs=0.5 * 10.0**-digits)


@given(st.floats(-JUST_BELOW_ONE, JUST_BELOW_ONE))
def test_only_zero_reads_as_zero_and_only_one_as_one(value: float) -> None:
    text = figure(value)
    assert (float(text) == 0) == (value == 0)
    assert abs(float(text)) < 1
    assert text != "-0.0000"
    assert float(text) == pytest.approx(value, rel=0.06)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_shown_as_none(value: float) -> None:
    assert figure(value) == share(value) == UNDEFINED


def test_promises_claim_no_more_than_they_are() -> None:
    nearly = {"accuracy": 0.9999, "confidence": 0.999, "coverage": 0.99996}
    certificate = Certificate(**nearly, threshold=0.1, rows=10, reason="enough")
    # It read "At least 100.0% of accepted rows are right, with 100% confidence".
    assert certificate.promise.startswith(
        "At least 99.99% of accepted rows are right, with 99.9% confidence; 99.996% of"
    )
    promise = Promise("certificate", 0.9999, 0.99995, 0.9991, 1.0, 1, "held")
    assert promise.sentence.endswith("promised 99.99%, measured 99.995% (99.9% to 100.0%) of 1 row: held")
