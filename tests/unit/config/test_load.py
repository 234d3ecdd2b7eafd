"""What people write in a config, and what they are told."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from varjepa.config import RetrainConfig, as_flat, load_config, parse_config
from varjepa.config.load import benchmark_config, study_config
from varjepa.config.yaml_text import dump_yaml, read_yaml
from varjepa.data.read.contract import load_contract
from varjepa.errors import ConfigError

SHIPPED = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_and_their_contracts_are_valid(path: Path) -> None:
    config = load_config(path)
    assert config.data.label
    if path.stem in ("adult", "covertype", "demo", "sim"):  # the others are downloaded, and promise nothing yet
        assert config.data.label in load_contract(str(config.contract.path)).columns


def test_overrides_are_read_as_yaml_and_win(tmp_path: Path) -> None:
    path = write(tmp_path, "data: {name: sim}\ntraining: {lr: 1e-3}\n")
    config = load_config(path, ["training.lr=5e-4", "data.drop=[a, b]", "data.label=x", "model.dropout=0"])
    assert (config.training.lr, config.data.drop, config.model.dropout) == (5e-4, ("a", "b"), 0.0)
    assert load_config(path).training.lr == 1e-3


def test_a_config_shows_what_differs_from_the_defaults() -> None:
    """A loaded model in a notebook showed three hundred keys."""
    config = parse_config({"data": {"name": "table", "label": "y"}, "training": {"lr": 5e-4}})
    assert (
        repr(config) == "RetrainConfig(data=DataSection(name='table', label='y'), training=TrainingSection(lr=0.0005))"
    )


def test_paths_in_a_file_start_from_the_file_and_those_of_overrides_do_not(tmp_path: Path) -> None:
    path = write(tmp_path, "data: {path: t.csv}\ncontract: {path: contracts/c.yaml}\n")
    config = load_config(path)
    assert config.data.path == str(tmp_path / "t.csv")
    assert config.contract.path == str(tmp_path / "contracts/c.yaml")
    assert load_config(path, ["data.path=t.csv"]).data.path == "t.csv"


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("data: {name: sim}\ntrainng: {lr: 1}", [], 'unknown key "trainng". Did you mean "training"'),
        ("data: {name: sim, lable: x}", [], 'unknown key "data.lable". Did you mean "label"'),
        ("data: {name: sim, split: {sed: 1}}", [], 'unknown key "data.split.sed". Did you mean "seed"'),
        (
            "data: {name: sim}\nprobe: {zzz: 1}",
            [],
            'unknown key "probe.zzz". Known keys of this section: "head", "features", "max_rows", "max_test_rows"',
        ),
        ("data: {name: sim}", ["training.ler=1"], 'unknown key "training.ler". Did you mean "lr"'),
        ("data: {name: sim}", ["training.lr"], "is not a key and a value"),
        ("data: {name: sim}", ["data.name.x=1"], 'names a key inside "name", but "name" is a single value'),
        ("data: {name: sim}\ntraining: {lr: fast}", [], "\"training.lr\" is 'fast'"),
        ("data: {name: sim}\ntraining: {max_epochs: 0}", [], '"training.max_epochs" is 0: input should be greater'),
        ("{}", [], '"data" is'),
        ("data: {}", [], "data needs a path"),
        ("data: {name: sim}\nmodel: {d_hidden: 10, n_heads: 4}", [], "cannot be divided among 4 attention heads"),
        ("data: {name: sim, split: {by: time}}", [], "needs split.column"),
        ("data: {name: sim, split: {train: 0.9, validation: 0.1}}", [], "leave rows for the test part"),
        ("data: {name: sim, split: {train: 0.7, calibration: 0.2}}", [], "leave rows for the test part"),
        ("data: {name: sim}\nuncertainty: {known: ambiguity}", [], "must not be a feature: list it in data.drop"),
        ("data: {name: sim}\nuncertainty: {score: entropi}", [], "\"uncertainty.score\" is 'entropi'"),
        ("data: {name: sim}\ntraining: {selection: probe}", [], "which needs data.label"),
        ("data: {name: sim}\nmodel: {kind: t_jepa}\ntraining: {selection: elbo}", [], "t_jepa has no ELBO"),
        (
            "data: {name: sim, label: x}\nmodel: {kind: t_jepa}",
            ["training.selection=selective_probe"],
            "t_jepa has no uncertainty; choose auto, probe or rankme",
        ),
        ("data: {name: sim}", ["model.kind=tjepa"], "\"model.kind\" is 'tjepa'"),
        ("data: {name: sim}", ["model.ema=1.5"], '"model.ema" is 1.5'),
        ("data: {name: sim}\nregistry: {name: a/b}", [], "registry.name"),
        ("data: [1", [], "not valid YAML"),
        ("data: {name: sim}\ndata: {name: sim}", [], "given twice"),
        ("- a\n- b", [], "Expected keys and values"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(write(tmp_path, text), overrides)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, "data: {name: sim}")
    with pytest.raises(ConfigError, match=r'No such configuration file.*Did you mean ".*job.yaml"'):
        load_config(tmp_path / "jobs.yaml")
    (tmp_path / "latin.yaml").write_bytes("data: {name: caf\xe9}".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_the_schema_holds_no_number_beyond_64_bits() -> None:
    """A Prefect server on PostgreSQL keeps 1e30 as a whole number, and `prefect deployment inspect` cannot write it."""
    bounds = re.findall(
        r'"(?:minimum|maximum|exclusiveMinimum|exclusiveMaximum)": ([^,}\s]+)',
        json.dumps(RetrainConfig.model_json_schema(), indent=0),
    )
    assert len(bounds) > 50
    assert max(abs(float(bound)) for bound in bounds) < 2**63


def test_configs_are_frozen_flat_and_have_a_schema(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "data: {name: sim}"))
    with pytest.raises(ValidationError):
        config.training.lr = 1.0
    assert as_flat(config)["data.split.seed"] == 0
    schema = json.loads(json.dumps(RetrainConfig.model_json_schema()))
    training = schema["$defs"]["TrainingSection"]["properties"]
    assert (
        training["batch_size"]["description"]
        == "Training rows of a step. If not given, 512, or a quarter of fewer than 2,048 training rows."
    )


def test_the_rate_follows_the_optimizer_unless_it_is_given(tmp_path: Path) -> None:
    path = write(tmp_path, "data: {name: sim}")

    def rate(*words: str) -> float:
        return load_config(path, words).training.lr

    assert (rate(), rate("training.optimizer=adamw")) == (4e-3, 1e-3)
    assert rate("model.kind=t_jepa") == 1e-3  # by AdamW
    assert rate("model.kind=t_jepa", "training.optimizer=muon") == 4e-3
    assert {rate(f"training.optimizer={name}", "training.lr=0.002") for name in ("muon", "adamw")} == {2e-3}


@pytest.mark.parametrize(
    ("key", "value", "format_"),
    [
        ("format", "%d/%m/%Y", "%d/%m/%Y"), ("date_format", "%d/%m/%Y", "%d/%m/%Y"), ("format", "1234.5", "1234.5"),
        ("format", "'1.234,5'", "1.234,5"), ("format", "['%Y-%m-%d', '%d.%m.%Y']", ("%Y-%m-%d", "%d.%m.%Y")),
        ("format", "time of day", "time of day"),
    ],
)  # fmt: skip
def test_the_format_of_a_column_is_set(tmp_path: Path, key: str, value: str, format_: str | tuple[str, ...]) -> None:
    config = load_config(write(tmp_path, "data: {name: sim}\n"), [f"data.columns.born.{key}={value}"])
    assert config.data.columns["born"].format == format_


@pytest.mark.parametrize(
    "text",
    ["1e5", "1E+3", "12e-7", "1.5", "007", "null", "yes", "2015-01-01", "%d", "1_000", "a: b", "- x", "~"],
)
def test_text_that_is_written_as_yaml_is_read_as_text(text: str) -> None:
    content = {"values": [text, "other"], text: {"format": text}}
    assert read_yaml(dump_yaml(content), "x") == content
    assert read_yaml(dump_yaml(content, flow=False), "x") == content


def test_all_local_paths_of_a_config_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "data: {path: a.csv}\ncontract: {path: c.yaml}\nwatch: {path: 'new/{{ run_date }}.csv'}\n"
        "signing: {key_file: k.pem, trusted_keys: t.pem}\n"
    )
    config = load_config(tmp_path / "job.yaml")
    places = (config.data.path, config.contract.path, config.watch.path, *config.signing.model_dump().values())
    assert places == tuple(
        str(tmp_path / name) for name in ("a.csv", "c.yaml", "new/{{ run_date }}.csv", "k.pem", "t.pem")
    )
    assert load_config(tmp_path / "job.yaml", ["watch.path=b.csv"]).watch.path == "b.csv"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("probe.l2=[]", '"probe.l2" is'), ("data.path=''", '"data.path" is'), ("tracking.uri=''", '"tracking.uri" is'),
        ("watch.silent_after=soon", '"watch.silent_after": soon is not a duration'),
        ("retention.older=0s", '"retention.older": 0s is not between'),
        ("gate.approve_within=1x", '"gate.approve_within": 1x is not a duration'),
    ],
)  # fmt: skip
def test_empty_and_wrong_values_are_refused_by_name(tmp_path: Path, override: str, said: str) -> None:
    (tmp_path / "job.yaml").write_text("data: {path: a.csv}")
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "job.yaml", [override])


def test_a_day_that_there_is_not_is_named(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "data: {path: 'sqlite:///a.db', query: 'SELECT :d', parameters: {d: '2026-02-31'}}"
    )
    with pytest.raises(ConfigError, match=r'"data.parameters.d.*there is no day 2026-02-31'):
        load_config(tmp_path / "job.yaml")


@pytest.mark.parametrize("key", ["variants", "predictors", "features"])
def test_a_study_of_nothing_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f'"{key}" is'):
        study_config([f"{key}=[]"]) if key == "variants" else benchmark_config(["sim"], [f"{key}=[]"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.drop=age", "\"data.drop\" is 'age': expected a list, such as [age]."),
        ("data.columns={a: {gaps: x}}", "\"data.columns.a.gaps\" is 'x': expected a list, such as [x]."),
        (
            "data.split.columns=age",
            "\"data.split.columns\" is 'age': expected a list, such as [age], or expected 'all'.",
        ),
        ("data.split.columns=[5]", '"data.split.columns.0" is 5: expected a text; write it in quotes: "5".'),
        ("data.label=5", '"data.label" is 5: expected a text; write it in quotes: "5".'),
        ("data.kinds=[a]", "expected keys and values, such as {name: value}."),
        ("registry=name", 'expected keys and values, such as {name: ...}; the keys are "name".'),
        ("training.max_epochs=1.5", "expected a whole number."),
        ("training.lr=fast", "expected a number."),
        ("training.compile=7", "expected true or false."),
        ("model.kind=x", "expected 'var_t_jepa' or 't_jepa'."),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_words_of_yaml(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(write(tmp_path, "data: {path: a.csv}"), [override])
    assert str(raised.value).endswith(said)


def _keys(schema: type[BaseModel], place: str = "") -> Iterator[str]:
    for name, field in schema.model_fields.items():
        yield f"{place}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{place}{name}.")


@pytest.mark.parametrize("value", ["[[7]]", "{zz: {zz: 7}}", "x", "7.5"])
def test_no_message_names_a_type_of_python(tmp_path: Path, value: str) -> None:
    words = re.compile(r"tuple|dictionary|instance|parse|constrained|function-|valid (int|bool|string)|\bstr\b")
    job, said = write(tmp_path, "data: {path: a.csv}"), []
    for key in _keys(RetrainConfig):
        try:
            load_config(job, [f"{key}={value}"])
        except ConfigError as error:
            said.append(str(error))
    assert len(said) > 50
    assert [message for message in said if words.search(message)] == []
