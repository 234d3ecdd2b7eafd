"""Templates of the Data Docs, compiled once per process."""

from types import CodeType
from typing import Any

from great_expectations.render.view.view import DefaultJinjaView
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class Compiled(BytecodeCache):
    """Compiled templates, kept in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.code


def compile_once() -> None:
    """Makes all pages share their compiled templates. Otherwise each of the four pages of a contract compiles all that
    it is made from, which takes longer than to fill them.
    """
    compiled, made = Compiled(), DefaultJinjaView.__init__

    def remembering(view: Any, *arguments: Any, **options: Any) -> None:
        made(view, *arguments, **options)
        view.env.bytecode_cache = compiled

    DefaultJinjaView.__init__ = remembering
