"""Several processes that retrain one model at once, on a database file and on a database server."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.flows.conftest import person_table, recorded, write_job
from tests.forked import Start
from tests.store_servers import free_port

SEEDS = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def postgres_uri() -> Iterator[str]:
    """A PostgreSQL server with an empty database, in a folder that an unprivileged user may enter."""
    from varjepa.tasks.servers.postgres import ensure_databases, postgres, program

    if program("initdb") is None or program("postgres") is None:
        pytest.skip("there is no PostgreSQL on this machine")
    folder = Path(tempfile.mkdtemp(prefix="varjepa-postgres-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", "")  # given back afterwards
        with postgres(folder, free_port()) as server:
            ensure_databases(server, ("mlflow",))
            yield f"{server}/mlflow"
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def together(request, forks, prefect_api, tmp_path_factory) -> SimpleNamespace:
    """Four processes of the command line, started at once in one folder on a store that does not exist yet.

    On a database file they wait for each other, as runs for one model on one machine do. On the server each has a
    temporary folder of its own, where locks of a machine lie, and so stands for a machine.
    """
    home = tmp_path_factory.mktemp(request.param)
    uri = f"sqlite:///{home}/mlflow.db" if request.param == "sqlite" else request.getfixturevalue("postgres_uri")
    quick = {"generator": {"n_layers": 0}, "training": {"max_epochs": 1}, "probe": {"head": "linear"}}
    job = write_job(home, person_table(200), data={"label": "rich"}, **quick)
    words = ["retrain", str(job), "--json", "--set"]
    starts = []
    for seed in SEEDS:
        place = home / f"machine{seed}" if request.param == "postgresql" else home / "machine"
        place.mkdir(exist_ok=True)
        variables = {"PREFECT_API_URL": prefect_api, "MLFLOW_TRACKING_URI": uri, "TMPDIR": str(place),
                     "PGPASSWORD": os.environ.get("PGPASSWORD", "")}  # fmt: skip
        starts.append(Start([*words, f"training.seed={seed}"], str(home), variables))
    said = forks.at_once(starts)
    codes, out, err = zip(*((each.code, each.out, each.err) for each in said), strict=True)
    return SimpleNamespace(uri=uri, home=home, codes=list(codes), out=out, err=err)


def test_four_retrains_at_once_lose_nothing(together: SimpleNamespace) -> None:
    from mlflow import MlflowClient

    assert together.codes == [0] * len(SEEDS), "\n".join(together.err)
    for err in together.err:
        assert "locked" not in err
        assert "Traceback" not in err
    answers = {
        answer["model"]["version"]: answer for answer in (json.loads(out.splitlines()[-1]) for out in together.out)
    }
    client = MlflowClient(together.uri)
    versions = {int(one.version): one for one in client.search_model_versions("name = 'people'")}
    assert sorted(answers) == sorted(versions) == [1, 2, 3, 4]
    assert len({one.tags["varjepa.model_digest"] for one in versions.values()}) == len(SEEDS)
    seeds = set()
    for number, one in versions.items():
        run = client.get_run(answers[number]["run_id"])
        seeds.add(run.data.params["training.seed"])
        assert run.info.status == "FINISHED"
        assert recorded(client, run.info.run_id) == answers[number]["metrics"]
        assert one.tags["varjepa.run_id"] == run.info.run_id
        assert run.info.run_id in one.description
    assert seeds == {str(seed) for seed in SEEDS}


def test_there_is_one_champion_and_its_history_is_whole(together: SimpleNamespace) -> None:
    from mlflow import MlflowClient

    from varjepa.tasks.registry.champion import history

    client = MlflowClient(together.uri)
    champion = int(client.get_registered_model("people").aliases["champion"])
    answers = [json.loads(out.splitlines()[-1]) for out in together.out]
    promoted = {answer["model"]["version"] for answer in answers if answer["promoted"]}
    events = history(client, "people")
    assert [event.before for event in events] == [None, *(event.version for event in events)][:-1]
    assert {event.version for event in events} == promoted
    assert events[-1].version == champion
    tags = [one.tags for one in client.search_model_versions("name = 'people'")]
    assert all(one["varjepa.gate"] for one in tags)
    assert [one["varjepa.gate.outcome"] for one in tags].count("first") == 1
