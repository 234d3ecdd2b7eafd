"""What all sections of a configuration share.

Unknown keys are errors and instances are frozen. The attribute docstrings become the descriptions in the JSON schema.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0.0)]


@dataclass(frozen=True)
class Operational:
    """Mark of a setting, in its `Annotated` type; see `OPERATIONAL`."""


OPERATIONAL = Operational()
"""Marks a setting that no result depends on: where data and results lie, where work is done, how often it is saved."""


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values do not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=(), allow_inf_nan=False,
        hide_input_in_errors=True,  # an input may hold a password
    )  # fmt: skip


def result_settings(section: Section, *names: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The settings that a result depends on: whatever is not marked as `OPERATIONAL`.

    Args:
        section: a section, or a whole configuration.
        names: dotted keys of the sections and fields that the result looks at; without any, all of them.
        without: dotted keys among those that it does not look at.

    Returns:
        Dotted key -> value, plain data as in JSON.

    Raises:
        ValueError: a key is not a setting that results may depend on; a misspelt one must not drop out silently.

    Examples:
        >>> class Loop(Section):
        ...     lr: float = 0.1
        ...     save_every: Annotated[int, OPERATIONAL] = 5
        >>> result_settings(Loop())
        {'lr': 0.1}
    """
    settings = dict(_result_settings(section, ""))
    for name in (*names, *without):
        if not any(_covers(name, key) for key in settings):
            raise ValueError(f'"{name}" is not a setting that results depend on')
    return {
        key: value
        for key, value in settings.items()
        if (not names or any(_covers(name, key) for name in names)) and not any(_covers(name, key) for name in without)
    }


def _covers(name: str, key: str) -> bool:
    """Whether a dotted key lies in the section `name`, or is it."""
    return key == name or key.startswith(f"{name}.")


def _result_settings(section: Section, prefix: str) -> Iterator[tuple[str, Any]]:
    plain = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if _is_operational(field):
            continue
        if isinstance(value, Section):
            yield from _result_settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", plain[name]


def _is_operational(field: FieldInfo) -> bool:
    return OPERATIONAL in field.metadata
