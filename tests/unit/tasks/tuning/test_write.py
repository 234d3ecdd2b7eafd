"""Where a tuned config goes, and that it leads to the same files from there."""

from pathlib import Path

import pytest

from varjepa.config.load import load_config
from varjepa.errors import ConfigError
from varjepa.tasks.tuning.places import place_of
from varjepa.tasks.tuning.write import _moved

TEXT = "data: {path: people.csv, label: rich}  # ours\ncontract: {path: contracts/people.yaml}\n"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "jobs" / "tuned").mkdir(parents=True)
    (tmp_path / "jobs/job.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return Path("jobs/job.yaml")


def test_the_default_place_is_beside_the_config(job: Path) -> None:
    assert place_of(job, None, force=False) == Path("jobs/job.tuned.yaml")


@pytest.mark.parametrize(
    ("out", "words"),
    [("jobs/job.yaml", "would be overwritten"), ("jobs", "is a folder"), ("nowhere/job.yaml", "There is no folder")],
)
def test_bad_places_are_refused(job: Path, out: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        place_of(job, Path(out), force=False)


def test_force_overwrites_a_file_but_no_folder(job: Path) -> None:
    assert place_of(job, job, force=True) == job
    with pytest.raises(ConfigError):
        place_of(job, Path("jobs"), force=True)


@pytest.mark.parametrize("out", ["jobs/other.yaml", "jobs/tuned/job.yaml", "job.yaml", "/tmp/job.yaml"])
@pytest.mark.parametrize(
    "overrides", [[], ["data.path=data/new.csv"], ["data.path=/data/new.csv"], ["data.path=s3://b/x.csv"]]
)
def test_the_tuned_config_reads_the_same_files(job: Path, tmp_path: Path, out: str, overrides: list[str]) -> None:
    from varjepa.config.edited import edited_yaml

    place = Path(out) if out.startswith("/") else tmp_path / out
    before = load_config(job, overrides)
    edited = edited_yaml(TEXT, _moved(job, place, TEXT, overrides))
    target = tmp_path / "read.yaml"
    target.write_text(edited)
    from varjepa.config.load import parse_config
    from varjepa.config.uris import beside, scheme_of
    from varjepa.config.yaml_text import read_yaml

    content = read_yaml(edited, "edited")
    for section in ("data", "contract"):
        content[section]["path"] = beside(place.parent, content[section]["path"])
    after = parse_config(content)
    for found, expected in ((after.data.path, before.data.path), (after.contract.path, before.contract.path)):
        assert found is not None
        assert expected is not None
        if scheme_of(str(expected)):
            assert str(found) == str(expected)
        else:
            assert Path(found).resolve() == Path(expected).resolve()


def test_a_file_in_the_same_folder_keeps_its_paths(job: Path) -> None:
    assert _moved(job, Path("jobs/job.tuned.yaml"), TEXT, []) == {}
    assert _moved(job, Path("jobs/job.tuned.yaml"), TEXT, ["training.lr=0.5"]) == {"training.lr": 0.5}
