"""The logger of the whole pipeline."""

import logging

log = logging.getLogger("varjepa")
