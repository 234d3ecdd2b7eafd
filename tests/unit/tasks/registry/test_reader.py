"""The registry in a local file is read without MLflow, and says the same as MLflow; nothing creates a store."""

import subprocess
import sys
from pathlib import Path

import pytest

from varjepa.errors import ModelError, SetupError
from varjepa.tasks.registry.listing import champions, registered_models
from varjepa.tasks.registry.names import registered_version, require_model
from varjepa.tasks.registry.reader import FileRegistry, ServedRegistry, registry_at

VERSIONS = 5


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two models, several versions, aliases, tags, a deleted version and metrics."""
    from varjepa.tasks.tracking.store import client_for

    path = tmp_path_factory.mktemp("registry") / "mlflow.db"
    client = client_for(f"sqlite:///{path}")
    run = client.create_run(client.create_experiment("e"))
    client.log_metric(run.info.run_id, "head/accuracy", 0.5)
    client.log_metric(run.info.run_id, "undefined", float("nan"))
    for name in ("a model", "b'quoted"):
        client.create_registered_model(name)
        for number in range(VERSIONS):
            version = client.create_model_version(name, "file:///nowhere", run.info.run_id)
            client.set_model_version_tag(name, version.version, "varjepa.rows", str(number))
        client.delete_model_version(name, "2")
        client.set_registered_model_alias(name, "champion" if name == "a model" else "old", "3")
        client.set_registered_model_tag(name, "any", "tag")
    return path


@pytest.mark.slow
def test_the_file_says_what_mlflow_says(database: Path) -> None:
    from varjepa.tasks.tracking.store import client_for

    file, served = FileRegistry(database), ServedRegistry(client_for(f"sqlite:///{database}"))
    assert sorted(file.models()) == sorted(served.models())
    for model in served.models():
        assert file.model(model.name) == served.model(model.name)
        assert file.versions(model.name) == served.versions(model.name)
    run_id = str(file.versions("a model")[0].run_id)
    both = [{name: str(value) for name, value in registry.metrics(run_id).items()} for registry in (file, served)]
    assert both[0] == both[1] == {"head/accuracy": "0.5", "undefined": "nan"}
    assert file.model("c") is None is served.model("c")
    assert file.metrics("0" * 32) == served.metrics("0" * 32) == {}


@pytest.mark.slow
def test_models_are_listed_without_importing_mlflow(database: Path) -> None:
    program = (
        "import sys\n"
        "from varjepa.tasks.registry.listing import champions, registered_models\n"
        f"uri = 'sqlite:///{database}'\n"
        "heavy = sorted({'mlflow', 'torch', 'polars'} & {*sys.modules})\n"
        "print(len(registered_models(uri)), len(champions(uri)), heavy)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == f"{2 * (VERSIONS - 1)} 0 []"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("models:/a model/9", "has no version 9. It has the versions 1, 3, 4, 5"),
        ("models:/a model/2", "has no version 2"),
        ("models:/a model@nosuch", 'has no alias "nosuch"'),
        ("models:/a mode/1", 'No model "a mode" is registered.*Did you mean "a model"'),
        ("models:/a model", "names no version"),
        ("models:/b'quoted@champion", "`varjepa promote models:/b'quoted/VERSION` makes one of them the champion"),
        ("nosuch", "No such model: nosuch"),
        ("a model", "Did you mean models:/a model@champion"),
        ("a model/3", "Did you mean models:/a model/3"),
    ],
)
def test_wrong_names_are_answered(database: Path, name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        require_model(name, f"sqlite:///{database}")


@pytest.mark.parametrize("name", ["models:/a model/3", "models:/a model@champion", "models:/b'quoted/1"])
def test_right_names_are_taken(database: Path, name: str) -> None:
    require_model(name, f"sqlite:///{database}")


@pytest.mark.parametrize(
    "read",
    [registered_models, champions, registry_at, lambda uri: registered_version("models:/a/1", uri),
     lambda uri: require_model("models:/a@champion", uri)],
)  # fmt: skip
def test_reading_creates_no_store(tmp_path: Path, read) -> None:
    with pytest.raises(SetupError, match=r"There is no tracking store .*typo\.db"):
        read(f"sqlite:///{tmp_path}/typo.db")
    assert not list(tmp_path.iterdir())


def test_before_the_first_run_nothing_is_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert registered_models(None) == champions(None) == []
    assert not list(tmp_path.iterdir())
