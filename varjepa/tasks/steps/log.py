"""The logger of the whole pipeline. Whatever this process logs, also by libraries, passes the redactor."""

import logging
import traceback
from typing import Any

from varjepa.redaction import redacted
from varjepa.visible import visible

log = logging.getLogger("varjepa")

_make_record = logging.getLogRecordFactory()


def redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A record of the log without secrets in its message, its arguments or its traceback."""
    record = _make_record(*args, **kwargs)
    if isinstance(record.args, tuple):  # each by itself: some formatters look for their arguments
        record.args = tuple(map(_argument, record.args))
    message = record.getMessage()
    shown = redacted(message)
    if record.name.partition(".")[0] == log.name:  # ours are one line each, whatever names stand in them
        shown = visible(shown)
    if shown != message:
        record.msg, record.args = shown, ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = redacted("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
    return record


def _argument(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    text = str(value)
    return value if (shown := redacted(text)) == text else shown


logging.setLogRecordFactory(redacted_record)
