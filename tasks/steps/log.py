"""The log that all of the machine writes to."""

import logging

log = logging.getLogger("varjepa")
