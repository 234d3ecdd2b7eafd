"""Settings of the simulation study. The defaults are those of the paper, if it gives them (section 4.1, C.2)."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from varjepa.config.base import LARGE, ONCE, OPERATIONAL, Draws, Layers, Positive, Rate, Section, Seed, Weight, Width
from varjepa.config.learning import ObjectiveSection
from varjepa.config.operations import TrackingSection

VariantName = Literal["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"]
VARIANTS: tuple[VariantName, ...] = get_args(VariantName)


class StudyObjective(ObjectiveSection):
    """Weights of the terms that a variant has: the plain ELBO, without schedules."""

    weight_rec: Weight = 1.0
    weight_gen: Weight = 1.0
    kl_sx_final: Weight = 1.0
    kl_z_final: Weight = 1.0
    kl_sy_final: Weight = 1.0
    kl_sx_anneal_epochs: Weight = 0.0
    kl_z_anneal_epochs: Weight = 0.0
    kl_sy_anneal_epochs: Weight = 0.0


class SIGRegSection(Section):
    """The regulariser of variants B, C, D, H and J, and of the diagnostic `sigreg_mse`."""

    weight: Weight = 10.0
    weighting: Literal["epps_pulley", "flat"] = "epps_pulley"
    """Weighting of the frequencies: that of the Epps-Pulley test, or none (see the page on the simulation study)."""
    directions: Width = 64
    """Random unit directions, new at every step."""
    frequencies: Annotated[int, Field(ge=2, le=65_536)] = 64
    """Frequencies from 0 to `largest_frequency`."""
    largest_frequency: Annotated[float, Field(gt=0, le=LARGE)] = 5.0


class JEPASection(Section):
    """Deterministic JEPA, trained next to the variants. It is not part of the paper's study, so no figures are
    published.
    """

    lr: Rate = 1e-2
    """Larger than the variants' rate, at which collapse is slow: the smaller the embedding, the smaller its
    gradient."""
    n_layers: Layers = 2
    """Hidden layers of encoder and predictor."""


class StudyConfig(Section):
    """The settings of one simulation study."""

    variants: Annotated[tuple[VariantName, ...], Field(min_length=1), ONCE] = VARIANTS
    """Which of the ten variants to train."""
    runs: Draws = 5
    """Runs per variant, seeds `seed`, `seed` + 1, ...; run r of every variant has the same data and initial weights."""
    seed: Seed = 0
    rows: Positive = 10_000
    """Training pairs per run (unpublished)."""
    test_rows: Positive = 5000
    """Further pairs from the same generator for the diagnostics. The published floors suggest about 5,000."""
    epochs: Positive = 40
    batch_size: Positive = 512
    lr: Rate = 1e-3
    weight_decay: Weight = 1e-6
    d_hidden: Width = 128
    n_layers: Layers = 1
    """Hidden layers of every MLP; the published depth of 2 counts linear maps."""
    probe_every: Positive = 10
    """Epochs between probes, which cost more than all other diagnostics."""
    objective: StudyObjective = StudyObjective()
    sigreg: SIGRegSection = SIGRegSection()
    jepa: JEPASection = JEPASection()
    tracking: Annotated[TrackingSection, OPERATIONAL] = TrackingSection()
