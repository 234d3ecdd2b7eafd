"""The simulated table, and noise blended into a real one."""

import numpy as np
import polars as pl

from varjepa.data.read.sim_table import blended_with_noise, sim_table


def test_sim_is_seeded_and_its_ambiguity_means_something() -> None:
    table = sim_table(rows=4000, seed=1)
    assert table.equals(sim_table(rows=4000, seed=1))
    assert not table.equals(sim_table(rows=4000, seed=2))
    assert table.width == 34
    numeric = table.select(pl.col("^x\\d+$")).to_numpy()
    labels = table["label"].to_numpy()
    centers = {c: numeric[labels == c].mean(0) for c in "abc"}
    nearest = np.array(list("abc"))[np.argmin([((numeric - centers[c]) ** 2).sum(1) for c in "abc"], axis=0)]
    ambiguous = table["ambiguity"].to_numpy() > 0.5
    assert (nearest == labels)[~ambiguous].mean() > 0.8
    assert (nearest == labels)[ambiguous].mean() < 0.6


def test_noise_is_blended_by_the_known_ambiguity() -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame({f"p{j}": rng.integers(0, 256, 500) for j in range(40)} | {"label": rng.integers(0, 9, 500)})
    table = table.with_columns(p3=pl.when(pl.int_range(500) % 7 > 0).then("p3"))
    noisy = blended_with_noise(table, share=0.75, seed=1, label="label")
    assert noisy.columns == [*table.columns, "ambiguity"]
    assert noisy["label"].equals(table["label"])
    assert noisy["p3"].null_count() == table["p3"].null_count()
    assert noisy["ambiguity"].is_between(0, 1).all()
    names = [f"p{j}" for j in range(40) if j != 3]
    moved = np.abs(noisy.select(names).to_numpy() - table.select(names).to_numpy()).mean(1)
    assert np.corrcoef(moved, noisy["ambiguity"].to_numpy())[0, 1] > 0.95
    assert noisy.equals(blended_with_noise(table, share=0.75, seed=1, label="label"))
