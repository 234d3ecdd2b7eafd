"""What all sections of a configuration share.

Unknown keys are errors and instances are frozen. The attribute docstrings become the descriptions in the JSON schema.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from varjepa.redaction import has_secret

LARGE = 1e9
"""Bound of weights and margins: beyond it, they are slips, and sums of losses overflow."""

# Every number has an upper bound: what no machine can hold, count or wait for is refused before work starts. The bounds
# fit into 64 bits: PostgreSQL keeps those of a Prefect deployment as whole numbers, and `prefect` writes no others.
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
NonNegative = Annotated[int, Field(ge=0, le=1_000_000_000)]
Rows = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
Seed = Annotated[int, Field(ge=0, le=4_000_000_000)]  # NumPy takes 32 bits, and runs count on from the seed
Width = Annotated[int, Field(ge=1, le=65_536)]
Layers = Annotated[int, Field(ge=1, le=1000)]
Workers = Annotated[int, Field(ge=0, le=10_000)]
Draws = Annotated[int, Field(ge=1, le=10_000)]
Weight = Annotated[float, Field(ge=0.0, le=LARGE)]
Rate = Annotated[float, Field(gt=0.0, le=1000.0)]
"""Rate of learning."""


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


ONCE = AfterValidator(_once)
"""Of a list of what is computed and compared: what is named twice would be computed twice, and its rows count twice."""


@dataclass(frozen=True)
class Operational:
    """Mark of a setting, in its `Annotated` type; see `OPERATIONAL`."""


OPERATIONAL = Operational()
"""Marks a setting that no result depends on: where data and results lie, where work is done, how often it is saved."""


NAMES_OF_COLUMNS = ("label", "known", "column")
"""Keys that hold the name of a column, which may be any text."""

SECRET = "secret"  # noqa: S105 (a word, not a secret)
"""Type of the fault that a value holds a secret."""


def _texts(value: Any) -> Iterator[str]:
    """The texts of a plain value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _takes_words(annotation: Any) -> bool:
    """Whether a type takes true and false; mappings and sections look at their values themselves."""
    kinds = get_args(annotation)
    if annotation in (bool, Any) or get_origin(annotation) is dict:
        return True
    return (isinstance(annotation, type) and issubclass(annotation, BaseModel)) or any(map(_takes_words, kinds))


class Facts(BaseModel):
    """Base of what is learned from a table, or said about one: unknown keys are errors, and values do not change.

    Names and cells of the table may be any text, also one that looks like a secret.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=(), allow_inf_nan=False,
        hide_input_in_errors=True,  # an input may hold a password
    )  # fmt: skip

    @field_validator("*", mode="before")
    @classmethod
    def _no_words_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        # YAML reads yes, no, on and off as true and false, and Python counts true as 1.
        field = cls.model_fields[str(info.field_name)]
        if any(isinstance(item, bool) for item in _items(value)) and not _takes_words(field.annotation):
            raise PydanticCustomError("boolean", "Input should be a number or a text, not true or false")
        return value


class Section(Facts):
    """Base of all sections of a config: what `Facts` asks for, and no value holds a secret."""

    instead_of_secrets: ClassVar[str] = (
        "Write ${NAME} in its place and put it into the variable NAME of the environment"
    )
    """What to do with a password that stands in a URI of the section."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What differs from the defaults: a notebook that shows a loaded model would fill pages with all keys."""
        defaults = {
            name: field.get_default(call_default_factory=True) for name, field in type(self).model_fields.items()
        }
        return ((name, value) for name, value in super().__repr_args__() if value != defaults.get(str(name), ...))

    @field_validator("*", mode="before")
    @classmethod
    def _without_nul(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and "\0" in value and info.field_name not in NAMES_OF_COLUMNS:
            raise PydanticCustomError("nul", "Input should not hold a NUL character")
        return value

    @field_validator("*")
    @classmethod
    def _without_secrets(cls, value: Any) -> Any:
        if any(has_secret(text) for text in _texts(value)):
            raise PydanticCustomError(
                SECRET, "holds a password or a signature, which would be stored with every run. {instead}",
                {"instead": cls.instead_of_secrets},
            )  # fmt: skip
        return value


class OpenSection(Section):
    """Base of sections some of whose keys follow from the table where they are not given, or null.

    Such a key is null in plain data until then; as an attribute it has its default.
    """

    from_table: ClassVar[tuple[str, ...]]
    """The keys that a table may decide."""

    @model_validator(mode="before")
    @classmethod
    def _without_open(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        return {key: value for key, value in content.items() if value is not None or key not in cls.from_table}

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = handler(self)
        return plain | {key: None for key in self._open if key in plain}

    @property
    def _open(self) -> set[str]:
        """Keys that the table decides."""
        return set(self.from_table) - self.model_fields_set

    def _decided(self, found: Mapping[str, Any]) -> Self:
        """The section with what the table decides of the keys that are open; as it is if there are none."""
        decided = {key: value for key, value in found.items() if key in self._open}
        return type(self).model_validate({**self.model_dump(), **decided}) if decided else self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Says that these keys may be null, too: the job of a schedule travels as plain data."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for key in cls.from_table:
            plain = properties[key]
            kind = {name: plain.pop(name) for name in [*plain] if name not in ("default", "title", "description")}
            plain["anyOf"] = [kind, {"type": "null"}]
        return schema


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
