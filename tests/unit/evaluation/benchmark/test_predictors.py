"""The downstream predictors: what they learn, and that the stack changes nothing but the speed."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from rtdl_revisiting_models import FTTransformerBackbone

from tests.small_networks import SIZES, random_table
from varjepa.config import ON_FRAMES, PREDICTORS, PredictorSettings
from varjepa.config.predictors import AutoIntSection, DCNSection, FTTransformerSection, RealMLPSection, TabMSection
from varjepa.evaluation.benchmark.predictors import Fitted, Inputs, embedding_inputs, fit_predictors, raw_inputs
from varjepa.evaluation.benchmark.predictors.attention import QKV, QKV_RESIDUAL, SelfAttention
from varjepa.evaluation.benchmark.predictors.inputs import standardised
from varjepa.evaluation.benchmark.predictors.networks import FLAT, NeuralName, new_network, new_stack
from varjepa.evaluation.benchmark.predictors.stacking import Streams
from varjepa.nn.attention import attend
from varjepa.nn.random import StackedRandomness

NEURAL: tuple[NeuralName, ...] = ("mlp", "dcnv2", "resnet", "autoint", "ft_transformer")

ON_NUMBERS = tuple(name for name in PREDICTORS if name not in ON_FRAMES)

SMALL = PredictorSettings(
    trials=1, epochs=12, lr=5e-3, batch_size=64, tabm=TabMSection(k=4, d_block=32, n_blocks=2),
    realmlp=RealMLPSection(epochs=30),
    autoint=AutoIntSection(d_token=32, n_layers=2), dcn=DCNSection(full_width=4, rank=3),
    ft_transformer=FTTransformerSection(d_block=16, n_blocks=2, n_heads=2),
)  # fmt: skip

WIDTHS = (2, 3, 1)


def problem(rows: int = 900, seed: int = 0) -> tuple[Inputs, torch.Tensor]:
    """A product of two features: no linear model says anything about it."""
    x = torch.randn(rows, 3, 3, generator=torch.Generator().manual_seed(seed))
    values = x * (torch.arange(3) < torch.tensor(WIDTHS)[:, None])
    return Inputs(values, WIDTHS), 2 * values[:, 0, 0].sign() * values[:, 1, 0]


def fit(name: str, *, n_classes: int, seeds: Sequence[int] = (0, 1), settings: PredictorSettings = SMALL) -> Fitted:
    (train, y), (validation, y_val), (test, _) = (problem(n, s) for n, s in ((900, 0), (300, 1), (300, 2)))
    if n_classes:
        y, y_val = (y > 0).long(), (y_val > 0).long()
    else:
        y, y_val = 30 * y + 500, 30 * y_val + 500
    return fit_predictors(
        name, (train, y), (validation, y_val), test, n_classes=n_classes, seeds=seeds, settings=settings
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ON_NUMBERS if name != "linear"])
def test_learns_a_product_of_features(name: str) -> None:
    target = problem(300, 2)[1]
    classes = fit(name, n_classes=2)
    assert classes.test.shape == (2, 300, 2)
    assert torch.allclose(classes.test.sum(-1), torch.ones(2, 300), atol=1e-5)
    assert float((classes.test.argmax(-1) == (target > 0)).float().mean()) > 0.85
    values = fit(name, n_classes=0)
    error = (values.test[..., 0] - 30 * target - 500).square().mean() / (30 * target).var()
    assert values.test.shape == (2, 300, 1)
    assert float(error) < 0.5


@pytest.mark.parametrize("name", NEURAL)
def test_a_stack_computes_what_its_networks_compute(name: NeuralName) -> None:
    streams = Streams(StackedRandomness.seeded([3, 4]))
    stack = new_stack(name, WIDTHS, 2, SMALL, seeds=[3, 4], streams=streams).eval()
    inputs = problem(7)[0]
    x = inputs.flat() if name in FLAT else inputs.values
    both = stack(torch.cat([x, x])).view(2, 7, 2)
    for output, seed in zip(both, (3, 4), strict=True):
        torch.manual_seed(seed)
        assert torch.allclose(output, new_network(name, WIDTHS, 2, SMALL).eval()(x), atol=1e-5)


@pytest.mark.parametrize("name", NEURAL)
def test_a_new_stack_leaves_the_global_generator_as_it_was(name: NeuralName) -> None:
    before = torch.get_rng_state()
    new_stack(name, WIDTHS, 2, SMALL, seeds=[3, 4], streams=Streams(StackedRandomness.seeded([3, 4])))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_stacks_built_in_threads_have_the_weights_of_their_seeds() -> None:
    # The generator that layers draw from is one for all threads: unguarded, a few of these stacks come out mixed.
    def weights(_: int) -> torch.Tensor:
        stack = new_stack("autoint", WIDTHS, 2, SMALL, seeds=range(5), streams=Streams(StackedRandomness.seeded([])))
        return torch.cat([parameter.flatten() for parameter in stack.parameters()])

    alone = weights(0)
    with ThreadPoolExecutor(4) as threads:
        assert all(torch.equal(alone, found) for found in threads.map(weights, range(200)))


def test_the_backbone_equals_its_authors() -> None:
    torch.manual_seed(0)
    network = new_network("ft_transformer", WIDTHS, 2, SMALL).eval()
    tokens = network.tokens(problem(5)[0].values)
    theirs = FTTransformerBackbone.forward(network.backbone, tokens)
    assert torch.allclose(network.backbone(tokens), theirs, atol=1e-6)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in a benchmark: how products are divided among threads changes their rounding, which training amplifies."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", NEURAL)
def test_a_seed_does_not_depend_on_the_seeds_beside_it(name: NeuralName) -> None:
    # With patience 1 the runs leave the stack at different times.
    settings = SMALL.model_copy(update={"patience": 1, "epochs": 4})
    together, again = (fit(name, n_classes=2, seeds=(5, 6, 7), settings=settings) for _ in range(2))
    alone = fit(name, n_classes=2, seeds=(6,), settings=settings)
    assert torch.equal(together.test, again.test)
    assert together.best_epochs[1] == alone.best_epochs[0]
    assert torch.allclose(together.test[1], alone.test[0], atol=1e-3)
    assert not torch.allclose(together.test[0], together.test[1], atol=1e-2)


@pytest.mark.slow
def test_averaged_weights_are_what_is_kept() -> None:
    plain, averaged = (
        fit("mlp", n_classes=0, settings=SMALL.model_copy(update={"weight_average": share, "lr": 0.03}))
        for share in (0.0, 0.98)
    )
    # At a rate that makes single steps noisy, the average of many of them is better.
    best = [min(min(scores) for scores in fitted.history) for fitted in (averaged, plain)]
    assert best[0] < best[1]


@pytest.mark.parametrize("n_classes", [2, 0])
def test_the_best_epoch_is_kept(n_classes: int) -> None:
    settings = SMALL.model_copy(update={"patience": 2, "epochs": 30, "lr": 0.02})
    fitted = fit("mlp", n_classes=n_classes, seeds=(0, 1, 2), settings=settings)
    truth = problem(300, 1)[1]
    for run, best in enumerate(fitted.best_epochs):
        seen = [scores[run] for scores in fitted.history if not math.isnan(scores[run][1])]
        assert seen.index(min(seen)) == best
        assert len(seen) == min(best + 1 + settings.patience, settings.epochs)
        if n_classes:
            error = (fitted.validation[run].argmax(1) != (truth > 0)).float().mean()
            loss = -fitted.validation[run, torch.arange(300), (truth > 0).long()].log().mean()
        else:
            spread = 30 * problem(900, 0)[1].std(correction=0)
            error = loss = ((fitted.validation[run, :, 0] - 30 * truth - 500) / spread).square().mean()
        assert (float(error), float(loss)) == pytest.approx(min(seen), rel=1e-4)


def test_patience_is_at_most_so_many_steps() -> None:
    # 900 rows are 15 steps an epoch.
    settings = SMALL.model_copy(update={"patience": 9, "patience_steps": 16, "epochs": 40, "lr": 0.05})
    fitted = fit("mlp", n_classes=2, seeds=(0,), settings=settings)
    assert len(fitted.history) == fitted.best_epochs[0] + 1 + 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_NUMBERS)
def test_padding_does_not_matter(name: str) -> None:
    settings = SMALL.model_copy(update={"epochs": 1})

    def outputs(extra: int) -> torch.Tensor:
        inputs, y = problem(200)
        inputs = inputs._replace(values=torch.nn.functional.pad(inputs.values, (0, extra)))
        return fit_predictors(
            name, (inputs, y), (inputs, y), inputs, n_classes=0, seeds=[0], settings=settings
        ).test  # fmt: skip

    assert torch.allclose(outputs(0), outputs(5), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_NUMBERS)
def test_a_class_without_training_rows_and_a_constant_feature(name: str) -> None:
    table = random_table(130)
    table.numeric[:, 0] = 0
    inputs, y = raw_inputs(table, SIZES), table.codes[:, 0] % 2
    fitted = fit_predictors(
        name, (inputs, y), (inputs.rows(slice(9)), torch.full((9,), 2)), inputs, n_classes=3, seeds=[0],
        settings=SMALL.model_copy(update={"epochs": 2, "batch_size": 43}),
    )  # fmt: skip
    assert fitted.test.shape == (1, 130, 3)
    assert bool(fitted.test.isfinite().all())


def test_inputs() -> None:
    table = random_table(40)
    raw = raw_inputs(table, SIZES)
    assert raw.widths == (2, 2, 2, 4, 6, 3)
    flat = raw.flat()
    numeric, codes = table.blanked()
    assert torch.equal(flat[:, 0:6:2], numeric)
    assert torch.equal(flat[:, 1:6:2], table.observed[:, :3].float())
    assert torch.equal(flat[:, 6:10].argmax(1), codes[:, 0])
    assert standardised(raw)[0] is raw
    binned = raw_inputs(table, SIZES._replace(bins=((), (-1.0, 0.0, 2.0), ())))
    assert binned.widths == (2, 4, 2, 4, 6, 3)
    # Full bins are 1 and empty ones 0, less what the number 0 fills: the first bin.
    shares = torch.stack([numeric[:, 1].clamp(-1, 0), (numeric[:, 1] / 2).clamp(0, 1)], dim=1)
    assert torch.allclose(binned.flat(), torch.cat([flat[:, :4], shares, flat[:, 4:]], dim=1))
    embedded = embedding_inputs(torch.randn(40, 3, 8) * 5 + 2)
    first, second = standardised(embedded, embedded.rows(slice(3)))
    assert torch.allclose(first.values.mean(0), torch.zeros(3, 8), atol=1e-5)
    assert torch.equal(first.values[:3], second.values)
    assert embedded.flat().shape == (40, 24)
    nothing = raw.rows(slice(0)), torch.zeros(0)
    with pytest.raises(ValueError, match="0 validation"):
        fit_predictors("mlp", (raw, torch.zeros(40)), nothing, raw, n_classes=0, seeds=[0], settings=SMALL)


@pytest.mark.parametrize("drops", [False, True])
def test_self_attention_of_far_scores_against_plain(drops: bool) -> None:
    torch.manual_seed(0)
    packed = torch.randn(3, 5, QKV * 8)
    packed[..., :16] *= 15.0  # queries and keys: scores of several hundred
    packed.requires_grad_()
    keep = (torch.rand(6, 5, 5) > 0.3).float() / 0.7 if drops else None
    q, k, v = packed.view(3, 5, 3, 2, 4).permute(2, 0, 3, 1, 4).flatten(1, 2)  # [3 * 2, 5, 4] each
    weights = (q @ k.mT / 2).softmax(-1)
    plain = (weights if keep is None else weights * keep) @ v
    expected = plain.view(3, 2, 5, 4).transpose(1, 2).flatten(2)
    found = SelfAttention.apply(packed, QKV, 2, keep)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    mine, theirs = (torch.autograd.grad(out.square().sum(), packed)[0] for out in (found, expected))
    torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=2e-2)


@pytest.mark.slow
def test_self_attention_against_plain() -> None:
    torch.manual_seed(0)
    keep = (torch.rand(6, 5, 5) > 0.3).double() / 0.7
    for n_parts in (QKV, QKV_RESIDUAL):
        packed = torch.randn(3, 5, n_parts * 8, dtype=torch.float64, requires_grad=True)
        for factors in (None, keep):
            assert torch.autograd.gradcheck(lambda x: SelfAttention.apply(x, n_parts, 2, factors), packed)  # noqa: B023
    parts = packed.view(3, 5, 4, 2, 4).permute(2, 0, 3, 1, 4)
    plain = attend(*parts[:3]).transpose(1, 2).flatten(2) + packed[..., 24:]
    assert torch.allclose(SelfAttention.apply(packed, QKV_RESIDUAL, 2, None), plain)
