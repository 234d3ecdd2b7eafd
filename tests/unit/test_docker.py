"""The container files: whole, nothing secret in them, bounds as in pyproject.toml; no container engine is needed."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def test_every_service_is_whole() -> None:
    assert set(SERVICES) == {"postgres", "mlflow", "prefect"}
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "/tmp" in service["tmpfs"], name
        if "build" in service:
            assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file(), name
            assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}, name
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] or (DOCKER / source).is_file(), mount


def test_nothing_listens_to_other_machines_unless_told_to() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in ports), ports


def test_examples_publish_on_loopback_and_images_run_as_a_user() -> None:
    for path in DOCKER.glob("*.Dockerfile"):
        text = path.read_text()
        assert re.search(r"^USER (?!root)\w+$", text, flags=re.MULTILINE), path
        assert all(port.startswith("127.0.0.1:") for port in re.findall(r"-p (\S+)", text)), path
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"]
    published = [port for page in pages for port in re.findall(r"docker run.* -p (\S+)", page.read_text())]
    assert all(port.startswith("127.0.0.1:") for port in published), published


def test_credentials_come_from_the_environment_alone() -> None:
    secret = re.compile(r"PASSWORD|KEY|TOKEN|SECRET")
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if secret.search(name):
                assert value is None or re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", value), name
            assert not re.search(r"//[^/@]+:[^/@]+@", str(value)), f"a password in {name}"


def test_base_images_are_pinned_to_one_digest_everywhere() -> None:
    scaffold = ROOT / "varjepa" / "tasks" / "setup" / "scaffold"
    files = [*DOCKER.glob("*.Dockerfile"), DOCKER / "compose.yaml", scaffold / "Dockerfile", scaffold / "gitlab.yml"]
    named: dict[str, set[str]] = {}
    for path in files:
        images = re.findall(r"\b(python|postgres):\d([\w.@:-]*)", path.read_text())
        assert images, path
        for name, rest in images:
            assert re.search(r"@sha256:[0-9a-f]{64}$", rest), f"{path.name}: {name} has no digest"
            named.setdefault(name, set()).add(rest)
    assert {name: len(found) for name, found in named.items()} == {"python": 1, "postgres": 1}


def test_what_can_be_set_is_documented() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    handed_on = {name for service in SERVICES.values() for name, value in service["environment"].items() if not value}
    page = (ROOT / "docs" / "teams.md").read_text()
    missing = {name for name in {*re.findall(r"\$\{(\w+)", text), *handed_on} if f"`{name}`" not in page}
    assert not missing


def test_images_have_the_bounds_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {re.split(r"[><=]", line)[0]: line for line in project["dependencies"]}
    known |= {re.split(r"[><=]", line)[0]: line for line in project["optional-dependencies"]["postgres"]}
    lines = re.findall(r'"([\w-]+)([^"]+)"', (DOCKER / "servers.Dockerfile").read_text())
    found = {name: name + bounds for name, bounds in lines if name != "boto3"}
    assert set(found) == {"mlflow", "prefect", "fastapi", "sqlalchemy", "psycopg2-binary"}
    assert all(known[name] == line for name, line in found.items())


@pytest.mark.slow
@pytest.mark.parametrize("image", ["serve", "retrain"])
def test_what_an_image_copies_reaches_it_and_suffices_to_build_the_package(image: str, tmp_path: Path) -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (DOCKER / f"{image}.Dockerfile").read_text(), flags=re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    kept = (DOCKER / f"{image}.Dockerfile.dockerignore").read_text().splitlines()
    assert names == {line[1:] for line in kept if line.startswith("!")}
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, tmp_path / name)
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(built, cwd=tmp_path, check=True, capture_output=True)
