"""How long a retrain will take on this machine: measured by a few steps of training, before the training."""

import time
from typing import NamedTuple

from varjepa.config import ModelSection, RetrainConfig
from varjepa.config.durations import in_words
from varjepa.config.encoder_sizes import WIDE_FEATURES
from varjepa.config.quick import QUICK, quick_config
from varjepa.data.encode.encoded import read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.models.new_network import new_network
from varjepa.tasks.retrain.beside import worth_a_process
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import training_folder
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import DONE
from varjepa.training.device import resolve_device
from varjepa.training.epoch_rows import HeldRows
from varjepa.training.loop import Trainer

BATCHES = 2
"""Batches of the measurement, each of which is trained on twice: the first time to warm up."""

GENERATOR_SPEED = 4.0
"""Rows of the generator in the time of one row of the embedding's training, at most, where that attends by way of
points."""

REST = 0.2e-3
"""Processor seconds per training row and feature of all other steps together, about: the predictions above all."""

REST_OF_WIDE = 0.1e-3
"""The same of tables of `WIDE_FEATURES`: half as wide tokens, and no measures that take passes of their own."""

BESIDE = 0.35
"""Share of the generator's time that it adds where it is trained beside other steps and ends before them, on two
cores."""

LEAST = 5.0
"""Seconds of these steps on the smallest table."""

LONG = 600.0
"""Seconds above which `--quick` is worth a word."""

SLOWDOWNS = 0.5, 20.0
"""Smallest and largest factor by which the estimate of the later steps is corrected."""

SMALLEST = 20_000
"""Tables of fewer training cells (rows times features) take less time than is worth an estimate."""


class Estimate(NamedTuple):
    """Seconds of the parts of a retrain, about.

    Attributes:
        training: of the embedding.
        generator: that the generator adds.
        rest: predictions, calibration and measurements.
    """

    training: float
    generator: float
    rest: float

    @property
    def total(self) -> float:
        """Seconds of the whole retrain."""
        return sum(self)


class Pace(NamedTuple):
    """What was measured of this machine.

    Attributes:
        rows_per_second: of the embedding's training.
        wait: seconds per processor second; above 1 where other processes want the same cores.
    """

    rows_per_second: float
    wait: float


def measured_pace(prepared: Prepared, config: RetrainConfig) -> Pace:
    """Trains a few batches of a network that is thrown away."""
    preprocessor, device = Preprocessor.read(prepared.preprocessor), resolve_device(config.training.device)
    training = config.training.model_copy(update={"max_epochs": 2, "patience": 2})
    wanted = BATCHES * training.batch_size
    table = read_sample(prepared.encoded, preprocessor, "train", most=wanted, seed=0).table.to(device)
    trainer = Trainer(
        network=new_network(preprocessor.sizes, config).to(device), tables=(HeldRows(table), table.rows(slice(0, 8))),
        objective=config.objective, masking=config.masking, training=training,
    )  # fmt: skip
    seconds, processor = time.perf_counter(), time.process_time()
    trained = trainer.fit(lambda *_: None, lambda *_: None)
    seconds, processor = time.perf_counter() - seconds, time.process_time() - processor
    return Pace(trained.history[-1]["training/rows_per_second"], max(1.0, seconds / max(processor, 1e-9)))


def estimate(prepared: Prepared, config: RetrainConfig, pace: Pace) -> Estimate:
    """The time of a retrain at this pace.

    Args:
        prepared: the encoded rows.
        config: of the job, with its sizes.
        pace: of this machine.
    """
    rows = prepared.parts.get("train", 0)
    epoch = min(rows, config.training.epoch_rows or rows)
    generator = config.generator
    hidden = generator.steps(max(rows, 1)) * generator.batch(max(rows, 1)) if generator.n_layers else 0
    per_cell = REST_OF_WIDE if prepared.features >= WIDE_FEATURES else REST
    rest = LEAST + per_cell * min(rows, config.probe.max_rows) * prepared.features * pace.wait
    speed = max(pace.rows_per_second, 1e-9)
    alone = hidden / (speed * generator_speed(config.model, prepared.features))
    added = max(BESIDE * alone, alone - rest) if worth_a_process(prepared, config) else alone
    return Estimate(config.training.max_epochs * epoch / speed, added, rest)


def generator_speed(model: ModelSection, features: int) -> float:
    """Rows of the generator in the time of one row of the embedding's training, about.

    In the generator every cell attends to every other, also where those of the network attend by way of points: of 200,
    500 and 1,500 features 2.5, 1.5 and 0.7 rows were measured. Without points it depends on the network's layers: 1.6
    rows were measured with two of them, 2.6 to 4 with eight.

    Examples:
        >>> generator_speed(ModelSection(n_layers=2), 14)
        1.5
        >>> wide = ModelSection(n_points=32)
        >>> round(generator_speed(wide, 200), 1), round(generator_speed(wide, 1500), 1)
        (2.5, 0.6)
    """
    if model.n_points:
        return min(GENERATOR_SPEED, 1000 / (features + 200))
    return 0.5 + 0.5 * model.n_layers


def quick_estimate(prepared: Prepared, config: RetrainConfig, pace: Pace) -> Estimate:
    """The same of the job with `--quick`."""
    rows = sum(prepared.parts.values())
    share = min(1.0, QUICK["data.rows"] / max(rows, 1))
    parts = {name: round(count * share) for name, count in prepared.parts.items()}
    return estimate(prepared.__class__(**{**vars(prepared), "parts": parts}), quick_config(config), pace)


def announce(prepared: Prepared, config: RetrainConfig) -> Estimate | None:
    """Logs how long the run will take, before its longest steps; nothing where the training is reused."""
    if not takes_a_while(prepared) or (training_folder(prepared, config) / DONE).is_file():
        return None
    pace = measured_pace(prepared, config)
    whole = estimate(prepared, config, pace)
    log.info("%s", in_sentences(whole, quick_estimate(prepared, config, pace), config))
    log.info("the estimate is for the load that this machine has now; after the training it is made again")
    return whole


def takes_a_while(prepared: Prepared) -> bool:
    """Whether the table is large enough for an estimate to be worth its seconds."""
    return prepared.parts.get("train", 0) * prepared.features >= SMALLEST


def announce_rest(first: Estimate | None, config: RetrainConfig, seconds: float, epochs: int) -> None:
    """Logs how long the steps after the training will take if the machine is as busy as during it.

    Args:
        first: the estimate before; None where none was made.
        config: of the job, with its sizes.
        seconds: that the training took.
        epochs: that were trained.
    """
    if first is None:
        return
    slower = slowdown(first.training * epochs / config.training.max_epochs, seconds)
    left = in_words(slower * (first.generator + first.rest))
    log.info("the training took %.1f times what was estimated; about %s left at this pace", slower, left)


def slowdown(expected: float, seconds: float) -> float:
    """How many times as long as expected something took, within bounds: a resumed training takes next to nothing.

    Examples:
        >>> slowdown(60.0, 90.0), slowdown(60.0, 1.0), slowdown(0.0, 5.0)
        (1.5, 0.5, 20.0)
    """
    return min(max(seconds / max(expected, 1e-9), SLOWDOWNS[0]), SLOWDOWNS[1])


def in_sentences(whole: Estimate, quick: Estimate, config: RetrainConfig) -> str:
    """An estimate in words.

    Examples:
        >>> from varjepa.config import parse_config
        >>> job = parse_config({"data": {"name": "sim"}})
        >>> in_sentences(Estimate(3000.0, 600.0, 300.0), Estimate(60.0, 20.0, 40.0), job)  # doctest: +ELLIPSIS
        'this run takes about 1 h 5 min here: 50 min 0 s at most for 6 epochs, ... With --quick about 2 min 0 s'
    """
    words = (
        f"this run takes about {in_words(whole.total)} here: {in_words(whole.training)} at most for "
        f"{config.training.max_epochs} epochs, {in_words(whole.generator)} at most for the generator, "
        f"{in_words(whole.rest)} for the rest"
    )
    if whole.total < LONG or quick.total > whole.total / 2:
        return words
    return f"{words}. With --quick about {in_words(quick.total)}"
