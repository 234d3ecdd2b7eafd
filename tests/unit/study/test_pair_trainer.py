"""The study's generator and its trainers."""

import pytest

from varjepa.config import StudyConfig
from varjepa.objective.elbo import Weights
from varjepa.study.pair_trainer import JEPATrainer, VariantTrainer, Worlds
from varjepa.study.variants import VARIANTS

SMALL = {"rows": 96, "test_rows": 64, "epochs": 2, "batch_size": 32, "d_hidden": 8}


@pytest.mark.parametrize("variant", ["A", "J"])
def test_runs_of_a_batch_equal_runs_alone(variant: str) -> None:
    together = StudyConfig(runs=3, seed=4, **SMALL)
    batch = VariantTrainer(variant=variant, worlds=Worlds(config=together), config=together).fit()
    alone = together.model_copy(update={"runs": 1, "seed": 5})
    single = VariantTrainer(variant=variant, worlds=Worlds(config=alone), config=alone).fit()
    for metrics, others in zip(batch, single, strict=True):
        for name, values in metrics.items():
            # Directions of this diagnostic are drawn once per study, from its first seed.
            if "sigreg_mse" not in name:
                assert values[1] == pytest.approx(others[name][0], rel=1e-3, abs=1e-3), name


def test_the_same_seeds_give_the_same_numbers() -> None:
    config = StudyConfig(runs=2, **SMALL)
    first, second = (VariantTrainer(variant="D", worlds=Worlds(config=config), config=config).fit() for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_variants_drop_terms_and_collapse_shows() -> None:
    assert VARIANTS["E"].keep(Weights()) == Weights(kl_sx=0)
    assert VARIANTS["J"].keep(Weights()) == Weights(kl_sx=0, kl_z=0, kl_sy=0)
    config = StudyConfig(runs=1, rows=2048, test_rows=256, epochs=10, batch_size=32, d_hidden=16, probe_every=100)
    worlds = Worlds(config=config)
    collapsed, kept = (
        JEPATrainer(target=target, worlds=worlds, config=config).fit()[-1] for target in ("gradient", "ema")
    )
    assert collapsed["s_x/active_units"][0] == 0 < kept["s_x/active_units"][0]
    assert collapsed["s_x/rankme"][0] < kept["s_x/rankme"][0]
