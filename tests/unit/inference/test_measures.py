"""Uncertainty measures of single rows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.small_networks import random_table, small_network
from tests.unit.models.test_t_jepa import small_t_jepa
from varjepa.config.heads import ProbeSection, UncertaintySection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.probe import LinearProbe, fit_probe
from varjepa.inference.fitted_uncertainty import FittedUncertainty, fit_uncertainty, weighted_scale
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.labelled import FOLDS, HeadData, folds_of
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.measures import VARIATIONAL, Measures
from varjepa.models.embedding import Embedding, embed
from varjepa.models.network import TableNetwork

NO_COLUMNS = Preprocessor(numeric=(), categorical=(), order=(), label=None, left_out={})


def fitted_for(
    probe: LinearProbe, table: TableTensors, embedding: Embedding, labels: torch.Tensor, section: UncertaintySection
) -> FittedUncertainty:
    """What the measures of a linear probe need; the same rows train and validate."""
    data = HeadData(HeadRows(embedding.mean.flatten(1), table), labels)
    fitting = Fitting(data, data, NO_COLUMNS, 2, ProbeSection(), 0)
    return fit_uncertainty(fitting, probe, LinearHead(probe), embedding.scale, section=section)


def asked(network: TableNetwork, table: TableTensors) -> Measures:
    embedding = embed(network, table)
    labels = (
        table.numeric[:, 0] + 0.5 * torch.randn(table.n_rows, generator=torch.Generator().manual_seed(0)) > 0
    ).long()
    probe = fit_probe(embedding.mean.flatten(1), labels, n_classes=2, l2=1e-2)
    section = UncertaintySection(draws=4, masks=3, ensemble=2)
    fitted = replace(fitted_for(probe, table, embedding, labels, section), temperature=1.3)
    return Measures(network, probe, LinearHead(probe), fitted, section, 0)


@pytest.mark.slow
def test_measures_do_not_depend_on_the_rows_beside_them() -> None:
    network, table = small_network(), random_table(300)
    measures = asked(network, table)
    names = measures.available()
    assert set(names) > {*VARIATIONAL, "distance", "ensemble"}
    whole = measures(table, embed(network, table), names)
    index = torch.randperm(300, generator=torch.Generator().manual_seed(1))[:40]
    part = measures(table.rows(index), embed(network, table.rows(index)), names)
    for name in names:
        assert whole[name].shape == (300,)
        assert torch.isfinite(whole[name]).all(), name
        torch.testing.assert_close(part[name], whole[name][index], rtol=1e-3, atol=1e-5)
        alone = measures(table, embed(network, table), [name])
        torch.testing.assert_close(alone[name], whole[name])
    # A table without rows has measures without rows: a quantile of none was an error.
    nothing = table.rows(slice(0, 0))
    assert all(not len(values) for values in measures(nothing, embed(network, nothing), names).values())


def test_of_wide_tables_measures_of_several_passes_are_compared_only_if_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measures = asked(small_network(), random_table(200))
    assert measures.compared() == measures.available()
    monkeypatch.setattr("varjepa.inference.measures.WIDE_FEATURES", 6)  # as many as this table has
    assert set(measures.available()) - set(measures.compared()) == {"mask_mean", "mask_disagreement", "surprise"}
    asked_for = replace(measures, section=UncertaintySection(score="surprise"))
    assert "surprise" in asked_for.compared()


@pytest.mark.slow
def test_parts_of_the_propagated_entropy_add_up() -> None:
    network, table = small_network(), random_table(200)
    measures = asked(network, table)
    found = measures(table, embed(network, table), measures.available())
    total = found["propagated_aleatoric"] + found["propagated_epistemic"]
    torch.testing.assert_close(found["propagated"], total)
    for name in ("propagated_epistemic", "mask_disagreement", "surprise", "distance"):
        assert (found[name] >= -1e-9).all(), name
    assert ((found["max_probability"] >= 0) & (found["max_probability"] <= 0.5)).all()


def test_the_error_probe_learns_which_scales_go_with_errors() -> None:
    table = random_table(2000, missing=0.0)
    embedding = embed(small_network(), table)
    mean, scale = torch.zeros_like(embedding.mean), torch.ones_like(embedding.mean)
    generator = torch.Generator().manual_seed(0)
    unsure = torch.rand(2000, generator=generator) < 0.5
    scale[unsure, 0, 0] = 0.2  # a smaller scale, which the mean over scales would take for more certainty
    labels = torch.randint(2, (2000,), generator=generator)
    mean[:, 0, 0] = torch.where(unsure, torch.randint(2, (2000,), generator=generator), labels).float()
    told = embedding._replace(mean=mean, scale=scale)
    probe = fit_probe(mean.flatten(1), labels, n_classes=2, l2=1e-3)
    fitted = fitted_for(probe, table, told, labels, UncertaintySection(ensemble=1))
    measures = Measures(small_network(), probe, LinearHead(probe), fitted, UncertaintySection(), 0)
    found = measures(table, told, ["weighted_scale", "scale_mean"])
    assert found["weighted_scale"][unsure].min() > found["weighted_scale"][~unsure].max()
    assert found["scale_mean"][unsure].max() < found["scale_mean"][~unsure].min()


def test_t_jepa_has_the_measures_that_need_no_scales() -> None:
    network, table = small_t_jepa(), random_table(100)
    measures = asked(network, table)
    assert not set(measures.available()) & set(VARIATIONAL)
    assert {"max_probability", "ensemble", "distance"} <= set(measures.available())
    found = measures(table, embed(network, table), measures.available())
    assert all(torch.isfinite(values).all() for values in found.values())


def test_what_was_fitted_comes_back_from_arrays() -> None:
    fitted = asked(small_network(), random_table(200)).fitted
    again = FittedUncertainty.from_tensors(
        fitted.tensors(), temperature=1.3, measure="entropy", reason="", certificate=None
    )
    assert set(again.tensors()) == set(fitted.tensors())
    assert all(torch.equal(again.tensors()[name], value) for name, value in fitted.tensors().items())


@pytest.mark.slow
def test_the_error_probe_learns_from_errors_on_rows_that_its_classifier_has_not_seen() -> None:
    """A probe that is right on all of its training rows errs on others, and there the scales tell where."""
    random = torch.Generator().manual_seed(0)
    rows, width = 600, 400
    noise = torch.rand(rows, generator=random) < 0.5
    labels = (torch.randn(rows, generator=random) > 0).long()
    mean = torch.randn(rows, 1, width, generator=random)
    mean[:, 0, 0] = torch.where(noise, mean[:, 0, 0], 4.0 * (2 * labels - 1))
    scale = torch.where(noise, 2.0, 1.0)[:, None, None] * torch.ones(rows, 1, width)
    probe = fit_probe(mean.flatten(1), labels, n_classes=2, l2=1e-4)
    assert (probe.predict(mean.flatten(1)).argmax(1) == labels).float().mean() > 0.99
    fitted = fitted_for(probe, random_table(rows), Embedding(mean, scale), labels, UncertaintySection(ensemble=1))
    assert fitted.error is not None
    unsure, sure = (weighted_scale(fitted.error, scale[rows]).mean() for rows in (noise, ~noise))
    assert unsure > 0.3
    assert unsure > 2 * sure


def test_rows_of_a_cluster_are_in_one_fold() -> None:
    clusters = np.arange(1000, dtype=np.uint64) // 7
    fold = folds_of(1000, clusters, seed=3)
    assert all(len(set(fold[clusters == number])) == 1 for number in np.unique(clusters))
    assert np.bincount(fold, minlength=FOLDS).min() > 150
    assert np.bincount(folds_of(1000, None, seed=3)).tolist() == [200] * FOLDS
