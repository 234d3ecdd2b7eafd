"""`prefect.yaml` and the job templates, by the schemas of Prefect and of its workers."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STORES = {"MLFLOW_TRACKING_URI": "http://10.0.0.5:5000", "VARJEPA_WORK_URI": "s3://team-work/varjepa"}
SECRETS = {"varjepa-aws-access-key-id": "AKIA-1", "varjepa-aws-secret-access-key": "hush-hush"}

pytestmark = pytest.mark.slow  # a Prefect server


def template(kind: str) -> dict[str, Any]:
    """The base job template of a pool, as the recipe creates it."""
    from prefect.workers.process import ProcessWorker

    if kind == "process":
        return ProcessWorker.get_default_base_job_template()
    return json.loads((ROOT / "docker" / f"{kind}-pool.json").read_text())


@pytest.fixture(scope="module")
def deployments(prefect_server: None) -> dict[str, Any]:
    """What the recipe deploys, as Prefect's server has it: kind of pool -> deployment."""
    from prefect.blocks.system import Secret
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.settings import PREFECT_API_URL

    pools = {"process": "varjepa", "docker": "varjepa-docker", "kubernetes": "varjepa-kubernetes"}
    with get_client(sync_client=True) as client:
        for kind, name in pools.items():
            client.create_work_pool(WorkPoolCreate(name=name, type=kind, base_job_template=template(kind)))
        for name, value in SECRETS.items():
            Secret(value=value).save(name)
        words = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "prefect.yaml"]
        done = subprocess.run(
            words, cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | STORES | {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        names = {deployment.work_pool_name: deployment for deployment in client.read_deployments()}
    return {kind: names[pool] for kind, pool in pools.items()}


@pytest.mark.parametrize("kind", ["process", "docker", "kubernetes"])
def test_a_worker_can_start_a_run_of_the_deployment(kind: str, deployments: dict[str, Any]) -> None:
    """A worker makes the configuration of a run of template and variables."""
    import anyio
    from prefect.workers.process import ProcessJobConfiguration
    from prefect_docker.worker import DockerWorkerJobConfiguration
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    from varjepa.config import parse_config

    kinds = {"process": ProcessJobConfiguration, "docker": DockerWorkerJobConfiguration,
             "kubernetes": KubernetesWorkerJobConfiguration}  # fmt: skip
    deployment = deployments[kind]
    assert parse_config(deployment.parameters["config"]).registry.name == "demo"
    assert deployment.global_concurrency_limit.limit == 1
    made = anyio.run(kinds[kind].from_template_and_values, template(kind), deployment.job_variables)
    assert made.env["PREFECT_LOGGING_EXTRA_LOGGERS"] == "varjepa"
    if kind == "process":
        return
    assert made.env.items() >= STORES.items()
    if kind == "docker":
        assert (made.image, made.mem_limit) == ("varjepa-retrain", "8g")
        assert made.env["AWS_SECRET_ACCESS_KEY"] == "hush-hush"
        assert made.container_create_kwargs["cap_drop"] == ["ALL"]
        assert "hush" not in deployment.model_dump_json()  # the worker reads it when a run starts
        return
    spec = made.job_manifest["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "varjepa"}}]
    assert container["resources"] == {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}}
    assert spec["volumes"][0] == {"name": "work", "emptyDir": {"sizeLimit": "20Gi"}}
    assert spec["securityContext"]["runAsNonRoot"]


@pytest.mark.parametrize("kind", ["process", "docker", "kubernetes"])
def test_the_variables_fit_the_template(kind: str, deployments: dict[str, Any]) -> None:
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    schema, variables = template(kind)["variables"], deployments[kind].job_variables
    assert variables.keys() <= schema["properties"].keys()
    validate(variables, schema, raise_on_error=True)
    with pytest.raises(ValidationError):
        validate(variables | {"env": ["no mapping"]}, schema, raise_on_error=True)


def test_the_templates_are_those_of_prefect_and_what_we_add() -> None:
    from prefect_docker.worker import DockerWorker
    from prefect_kubernetes.worker import KubernetesWorker

    assert without_ours(template("docker")) == without_ours(DockerWorker.get_default_base_job_template())
    ours, theirs = template("kubernetes"), KubernetesWorker.get_default_base_job_template()
    added = {name: ours["variables"]["properties"].pop(name) for name in ("secret", "work_size")}
    assert {value["type"] for value in added.values()} == {"string"}
    assert without_ours(ours) == without_ours(theirs)


def without_ours(values: dict[str, Any]) -> dict[str, Any]:
    """A template without the parts of a pod that we add, and without defaults."""
    values = copy.deepcopy(values)
    manifest = values["job_configuration"].get("job_manifest")
    if manifest is not None:
        pod = manifest["spec"]["template"]["spec"]
        for place, names in ((pod, ("securityContext", "volumes")),
                             (pod["containers"][0], ("envFrom", "securityContext", "volumeMounts"))):  # fmt: skip
            for name in names:
                place.pop(name, None)
    for variable in values["variables"]["properties"].values():
        variable.pop("default", None)
    return values


def test_the_image_runs_where_the_recipe_says() -> None:
    lines = (ROOT / "docker" / "retrain.Dockerfile").read_text().splitlines()
    recipe = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    home = next(line.split()[1] for line in reversed(lines) if line.startswith("WORKDIR"))
    pulls = {d["name"]: d["pull"][0]["prefect.deployments.steps.set_working_directory"]["directory"]
             for d in recipe["deployments"]}  # fmt: skip
    assert pulls == {"demo": "{{ $PWD }}", "demo-docker": home, "demo-kubernetes": home}
    container = template("kubernetes")["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"][0]
    assert container["volumeMounts"][0]["mountPath"] == f"{home}/mlruns"
    assert "USER retrain" in lines
