"""Step 11: log the model with a signature, register it, and set the alias `challenger`."""

import json
import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varjepa.config import RetrainConfig
from varjepa.data.cells import by_name
from varjepa.errors import ModelError, listed
from varjepa.inference.manifest import manifest_digest, require_intact
from varjepa.inference.storage import FILES, model_digest
from varjepa.tasks.registry.champion import CHALLENGER
from varjepa.tasks.registry.logged_models import DIGEST_TAG, active_run, logged_before, unlisted_packages, use_store
from varjepa.tasks.registry.names import REGISTRY, inside
from varjepa.tasks.registry.open_model import fetched
from varjepa.tasks.registry.search import versions_of
from varjepa.tasks.registry.tags import FILES_TAG, FINGERPRINT_TAG, MANIFEST_TAG, ROWS_TAG, RUN_TAG, SIGNER_TAG
from varjepa.tasks.registry.verify import files_digest, readable
from varjepa.tasks.registry.watch import write_watch
from varjepa.tasks.release.compare import Candidate
from varjepa.tasks.release.wheel import requirement, write_wheel
from varjepa.tasks.signing.keys import SigningKey, fingerprint, own_trust, signing_key
from varjepa.tasks.signing.sign import sign
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.headlines import VERDICT
from varjepa.tasks.tracking.locks import registry_lock
from varjepa.tasks.tracking.patience import patiently
from varjepa.tasks.tracking.store import client_for, client_of
from varjepa.tasks.tracking.uris import tracking_uri

EXAMPLE_ROWS = 3
"""Rows of the input example."""

SERVED = Path(__file__).parents[1] / "registry" / "served_model.py"
"""The code that is stored with a model. Not imported: that would tell MLflow that this process is the model."""


@dataclass(frozen=True)
class Registered:
    """A version in the registry; an identical model keeps its version.

    Attributes:
        name: registered model.
        version: its number.
        uri: `models:/name/version`.
    """

    name: str
    version: int
    uri: str


@retried_task("register", task_run_name="register {config.registry.name}", seconds=5)
def register(run_id: str, config: RetrainConfig, candidate: Candidate, description: str) -> Registered:
    """Logs the model to the run and registers it, unless the registry already has it.

    Args:
        run_id: run that made the model.
        config: of the job.
        candidate: the model and its rows, the first of which become the input example.
        description: Markdown for the registry.
    """
    uri, name, digest = tracking_uri(config.tracking), config.registry.name, model_digest(candidate.model)
    client = client_for(uri)
    # Uploading takes long, so it happens before the lock; the registry is asked again under it.
    source = None if known_version(name, digest, config) else _logged(run_id, candidate, uri)
    with registry_lock(uri, name):
        version = known_version(name, digest, config)
        if version is None:
            # MLflow shows tags in this order: what people read comes first.
            tags = {VERDICT: "not compared yet", DIGEST_TAG: digest, RUN_TAG: run_id,
                    FINGERPRINT_TAG: candidate.fingerprint, ROWS_TAG: str(candidate.rows)}  # fmt: skip
            model = source or _logged(run_id, candidate, uri)
            # Asked for again before every attempt: a lost answer may have been that of a version that was made.
            version = patiently(
                lambda: known_version(name, digest, config) or _version_of(model, candidate, config, tags), uri
            )
        else:
            log.info("register: version %d of %s is the same model, no new version is made", version, name)
        # An existing version keeps its card: it describes the run that made the model.
        if not client.get_model_version(name, str(version)).description:
            client.update_model_version(name, str(version), description)
        write_watch(client, name, version, config)
        client.set_registered_model_alias(name, CHALLENGER, str(version))
    return Registered(name, version, f"models:/{name}/{version}")


def _logged(run_id: str, candidate: Candidate, tracking: str) -> str:
    """Logs the model to the run; returns its URI."""
    # The calls below use MLflow's global setting, which another job of this process may have changed.
    use_store(tracking)
    # MLflow warns about details of a signature that we have chosen on purpose.
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    fingerprint = model_digest(candidate.model)
    with active_run(run_id), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)

        # A killed run may have uploaded the model already.
        def logged() -> str:
            before = logged_before(client_for(tracking), run_id, fingerprint)
            tags = {DIGEST_TAG: fingerprint, MANIFEST_TAG: manifest_digest(candidate.model) or ""}
            return before or _log_model(candidate.model, candidate.prepared.clean, tags)

        return patiently(logged, tracking)


def _version_of(source: str, candidate: Candidate, config: RetrainConfig, tags: dict[str, str]) -> int:
    """Registers a logged model, with the digests of its files as they are now in the store, and signs it.

    Raises:
        ModelError: what is to be signed is not what this job has made.
    """
    import mlflow

    tracking = tracking_uri(config.tracking)
    use_store(tracking)
    folder = fetched(source, tracking)
    if (key := signing_key(config.signing)) is not None:
        tags = tags | {SIGNER_TAG: _signed(source, folder, candidate, key, tracking)}
    manifest = manifest_digest(inside(folder))
    tags = tags | {FILES_TAG: files_digest(folder)} | ({MANIFEST_TAG: manifest} if manifest is not None else {})
    return int(mlflow.register_model(source, config.registry.name, tags=tags).version)


def _signed(source: str, folder: Path, candidate: Candidate, key: SigningKey, tracking: str) -> str:
    """Signs a logged model, and stores the signature among its files; returns the fingerprint of the key."""
    with tempfile.TemporaryDirectory() as name:
        _require_own(folder, candidate, Path(name))
        signature = sign(folder, Path(name), key)
        client_for(tracking).log_model_artifact(source.removeprefix(REGISTRY), str(signature))
    return fingerprint(key.public)


def _require_own(folder: Path, candidate: Candidate, scratch: Path) -> None:
    """Checks that a store, which others may write to, gave back what this job has put there.

    Args:
        folder: of the MLflow model, from the store.
        candidate: what the job has made.
        scratch: an empty folder.

    Raises:
        ModelError: it did not; a signature must not vouch for the work of others.
    """
    inner, wheel = inside(folder), write_wheel(scratch)
    own = {SERVED.name: SERVED, f"artifacts/{wheel.name}": wheel}
    others = [name for name, file in own.items() if not _same(folder / name, file)]
    try:
        require_intact(inner, FILES)
    except (OSError, ValueError) as error:
        others.append(str(error))
    if manifest_digest(inner) != manifest_digest(candidate.model):
        others.append("the manifest")
    if others:
        raise ModelError(
            f"The tracking store holds other files than this job has put there ({listed(others)}), so they are not "
            "signed.", fix="Who else may write to the store? Delete the run there and retrain.",
        )  # fmt: skip


def _same(path: Path, own: Path) -> bool:
    return path.is_file() and path.read_bytes() == own.read_bytes()


def known_version(name: str, fingerprint: str, config: RetrainConfig) -> int | None:
    """Newest version of `name` that holds this model, by its digest; None if there is none, or it cannot be read.

    A job that signs knows only versions that its own key has signed.
    """
    client = client_of(config.tracking)
    same = (version for version in versions_of(client, name) if version.tags.get(DIGEST_TAG) == fingerprint)
    newest = max((int(version.version) for version in same), default=None)
    place, trust = tracking_uri(config.tracking), own_trust(config.signing)
    found = newest is not None and readable(f"{REGISTRY}{name}/{newest}", place, trust)
    return newest if found else None


def _log_model(model: Path, clean: Path, tags: dict[str, str]) -> str:
    import mlflow
    import polars as pl

    from varjepa.inference.storage import load_model

    # People copy the example, so it has complete rows in the types of the source.
    trained = load_model(model, "cpu")
    frame = pl.scan_parquet(clean).select(by_name(trained.preprocessor.columns))
    example = frame.drop_nulls().head(EXAMPLE_ROWS).collect()
    example = example if example.height else frame.head(EXAMPLE_ROWS).collect()
    with tempfile.TemporaryDirectory() as folder, unlisted_packages():  # the only requirement is our own wheel
        wheel = write_wheel(Path(folder))
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(SERVED),
            artifacts={"model": str(model), "wheel": str(wheel)},
            signature=signature(trained, dict(frame.collect_schema())),
            input_example=example.to_pandas(),
            pip_requirements=[requirement(wheel)],
            metadata={"features": json.dumps(trained.preprocessor.names)},
            tags=tags,
        )
    if info.signature is None:
        raise RuntimeError("MLflow dropped the model's signature")
    return info.model_uri


def signature(trained: Any, schema: dict[str, Any]) -> Any:
    """Inputs: one optional column per raw column of the features; outputs: the columns of `TrainedModel.predict`.

    Numeric inputs are of type Any. For a double column MLflow refuses whole numbers. For a long column it refuses
    missing cells, which turn whole numbers into doubles. The model checks cells itself and names the invalid one.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    label = trained.preprocessor.label
    text = {name for name, dtype in schema.items() if str(dtype) in ("String", "Categorical", "Enum")}
    names = trained.preprocessor.columns
    inputs: list[ColSpec | TensorSpec] = [ColSpec("string" if name in text else AnyType(), name) for name in names]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(Array(DataType.double), "embedding")]
    intervals = trained.intervals
    if trained.network.has_scale or trained.fitted is not None or intervals is not None:
        outputs.append(ColSpec("double", "uncertainty"))
    if trained.network.has_scale:
        outputs.append(ColSpec("double", "latent_uncertainty"))
    if trained.probe is not None:
        outputs.append(ColSpec("string" if label.classes else "double", "prediction"))
        if label.classes:
            outputs.append(ColSpec("double", "probability"))
        if intervals is not None and intervals.rule is not None:
            outputs += [ColSpec("double", "low"), ColSpec("double", "high")]
        if any(one is not None and one.certificate is not None for one in (trained.fitted, intervals)):
            outputs.append(ColSpec("boolean", "accept"))
    if label is not None and label.classes:
        outputs += [ColSpec("double", f"probability.{name}", required=False) for name in label.classes]
    if trained.sets is not None:
        outputs.append(ColSpec(Array(DataType.string), "set", required=False))
    # No columns named: those of `TrainedModel.predict`.
    params = ParamSchema([ParamSpec("batch_size", DataType.long, 1024), ParamSpec("columns", DataType.string, "")])
    return ModelSignature(Schema(inputs), Schema(outputs), params)
