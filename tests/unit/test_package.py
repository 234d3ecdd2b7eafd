"""What people install: a wheel and a source distribution with everything that the command needs."""

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both distributions of the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.slow
def test_the_wheel_has_one_package_with_its_configs_templates_and_types(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names} == {"varjepa", "varjepa-0.1.0.dist-info"}
    for folder in ("configs", "configs/contracts"):
        files = {f"varjepa/{folder}/{file.name}" for file in (ROOT / folder).glob("*.yaml")}
        assert files
        assert files <= names
    assert {"varjepa/py.typed", "varjepa/tasks/reports/templates/base.html", "varjepa/flows/cli.py"} <= names
    code = {f"varjepa/{file.relative_to(ROOT / 'varjepa')}" for file in (ROOT / "varjepa").rglob("*.py")}
    assert code <= names


@pytest.mark.slow
def test_the_metadata_name_licence_authors_and_versions(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = message_from_string(wheel.read(name).decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Author"]
    assert metadata["Requires-Python"] == "<3.15,>=3.11"


@pytest.mark.slow
def test_the_source_distribution_has_the_whole_repository(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sources:
        names = {member.name.partition("/")[2] for member in sources.getmembers()}
    assert {"docs/index.md", "mkdocs.yml", "examples/quick_start.ipynb", "CHANGELOG.md", "Makefile"} <= names
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not listed.returncode:  # else there is no clone: these tests came with a source distribution
        files = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
        assert files <= names, files - names


@pytest.mark.slow
def test_the_source_distribution_builds_the_same_wheel(built: Path, wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sources:
        sources.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=folder, check=True
    )
    (again,) = tmp_path.glob("*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(wheel.namelist())


@pytest.mark.slow
def test_the_unpacked_wheel_runs_outside_of_the_checkout(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from varjepa.config.load import load_config\nfrom varjepa.config.shipped import shipped_config\n"
        "from varjepa.flows.cli import main\n"
        "file = shipped_config('demo'); print(file); print(load_config(file).contract.path)"
    )
    answer = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    place, contract = answer.stdout.split()
    assert Path(place) == tmp_path / "site/varjepa/configs/demo.yaml"
    assert Path(contract).is_file()
