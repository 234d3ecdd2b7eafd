"""Trains the models of the simulation study: all runs of a model in one batched computation, diagnosed every epoch."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from varjepa.config.study import StudyConfig
from varjepa.evaluation.latents.aggregate import diagnose
from varjepa.evaluation.latents.latents import active_units, rankme
from varjepa.evaluation.probe import stacked_accuracy
from varjepa.nn.decay import decay_groups
from varjepa.nn.optimizers import AdamW
from varjepa.nn.random import Randomness, StackedRandomness
from varjepa.objective.elbo import LossTerms, Weights
from varjepa.objective.schedules import weights_at
from varjepa.objective.sigreg import Frequencies, random_directions, sigreg
from varjepa.study.jepa import JEPANetwork, Target
from varjepa.study.pair_terms import paired_terms
from varjepa.study.pairs import D_OBSERVED, D_S, D_Z, Pairs, simulate_pairs
from varjepa.study.var_jepa import PairPosterior, PairSizes, VarJEPANetwork
from varjepa.study.variants import VARIANTS

INITIAL, MEASURING, PROBING = 2**20, 2**20 + 1, 2**20 + 2
"""Streams of a seed in addition to those of the epochs: initial weights, samples for diagnostics, and probes."""

SIZES = PairSizes(d_x=D_OBSERVED, d_y=D_OBSERVED, d_s=D_S, d_z=D_Z)

Epoch = dict[str, list[float]]
"""Metrics of one epoch: name -> one value per run."""


class Worlds:
    """Training and test pairs of all runs: x, y [R, N, d] and label [R, N]; every model of a study sees the same."""

    def __init__(self, *, config: StudyConfig) -> None:
        self.seeds = range(config.seed, config.seed + config.runs)
        rows = config.rows + config.test_rows
        drawn = [simulate_pairs(rows=rows, seed=seed).split(config.rows) for seed in self.seeds]
        train, test = zip(*drawn, strict=True)
        self.train, self.test = (Pairs(*map(torch.stack, zip(*part, strict=True))) for part in (train, test))


class PairTrainer(ABC):
    """The training loop of all models; run r of a stack learns what it would learn alone, up to rounding.

    Args:
        network: with as many runs as `worlds`.
        worlds: the data.
        config: optimiser, epochs, seeds.
        lr: learning rate.
    """

    def __init__(self, *, network: nn.Module, worlds: Worlds, config: StudyConfig, lr: float) -> None:
        self.worlds, self.config = worlds, config
        self.runs = torch.arange(config.runs)[:, None]  # [R, 1]: with rows [R, B] it picks other rows in every run
        self.optimizer = AdamW(decay_groups(network, config.weight_decay), lr=lr, fused=True)
        self.step = 0

    def fit(self) -> list[Epoch]:
        """Trains for `epochs` and returns the metrics of each; probes run every `probe_every` epochs and at the end."""
        history = []
        for epoch in range(self.config.epochs):
            # A stream per epoch: diagnostics between epochs cannot shift the batches of the next one.
            self._train(StackedRandomness.seeded(self.worlds.seeds, epoch))
            with torch.no_grad():
                metrics = self._measure()
                if (epoch + 1) % self.config.probe_every == 0 or epoch + 1 == self.config.epochs:
                    metrics |= self._probe()
            history.append({name: value.tolist() for name, value in metrics.items()})
        return history

    def _train(self, random: StackedRandomness) -> None:
        train = self.worlds.train
        for rows in random.orders(self.config.rows).split(self.config.batch_size, dim=1):  # [R, B]
            loss = self._loss(train.x[self.runs, rows], train.y[self.runs, rows], random)
            self.optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()  # runs share no parameter, so each gets the gradient of its own loss
            self.optimizer.step()
            self.step += 1
            self._after_step()

    def _after_step(self) -> None:
        """Called after every optimiser step; most models have nothing to do."""
        return

    def _probe(self) -> dict[str, Tensor]:
        """Accuracy of linear probes for the label on the embedding of every latent: name -> [R]."""
        train, test = self.worlds.train, self.worlds.test
        random = StackedRandomness.seeded(self.worlds.seeds, PROBING)
        train_means, test_means = self._embed(train), self._embed(test)
        return {
            f"{name}/probe_accuracy": stacked_accuracy((mean, train.label), (test_means[name], test.label), random)
            for name, mean in train_means.items()
        }

    @abstractmethod
    def _embed(self, pairs: Pairs) -> dict[str, Tensor]:
        """Means of the latents: name -> [R, N, d]."""

    @abstractmethod
    def _loss(self, x: Tensor, y: Tensor, random: StackedRandomness) -> Tensor:
        """Loss of a batch per run, [R]."""

    @abstractmethod
    def _measure(self) -> dict[str, Tensor]:
        """Diagnostics on the test rows: name -> [R]."""


class VariantTrainer(PairTrainer):
    """Trains one of the ten variants of Var-JEPA.

    Args:
        variant: A to J.
        worlds: the data.
        config: sizes, optimiser, weights.
    """

    def __init__(self, *, variant: str, worlds: Worlds, config: StudyConfig) -> None:
        self.network = VarJEPANetwork(
            sizes=SIZES, random=StackedRandomness.seeded(worlds.seeds, INITIAL),
            d_hidden=config.d_hidden, n_layers=config.n_layers,
        )  # fmt: skip
        super().__init__(network=self.network, worlds=worlds, config=config, lr=config.lr)
        # Steps rounded up: the last batch of an epoch may be smaller.
        self.variant, self.steps_per_epoch = VARIANTS[variant], -(-config.rows // config.batch_size)

    @property
    def weights(self) -> Weights:
        """Weights of the terms at this step."""
        return self.variant.keep(weights_at(self.step, self.steps_per_epoch, self.config.objective))

    def _loss(self, x: Tensor, y: Tensor, random: StackedRandomness) -> Tensor:
        posterior, generated = self.network(x, y, random)
        loss = paired_terms(x, y, posterior, generated).loss(self.weights).mean(-1)  # [R]
        for latent in self.variant.sigreg:
            # On samples, not means: the aggregate posterior is what should be N(0, I).
            value = posterior.s_x_value if latent == "s_x" else posterior.s_y_value
            loss = loss + self.config.sigreg.weight * self._sigreg(value, random)
        return loss

    def _sigreg(self, latent: Tensor, random: StackedRandomness) -> Tensor:
        settings = self.config.sigreg
        # New directions at every step, each run's own: [R, K, d_s].
        directions = torch.stack([random_directions(SIZES.d_s, settings.directions, run) for run in random.runs])
        frequencies = Frequencies(settings.frequencies, settings.largest_frequency)
        return sigreg(latent, directions, frequencies, settings.weighting)

    def _infer(self, pairs: Pairs) -> PairPosterior:
        return self.network.infer(pairs.x, pairs.y, StackedRandomness.seeded(self.worlds.seeds, MEASURING))

    def _embed(self, pairs: Pairs) -> dict[str, Tensor]:
        posterior = self._infer(pairs)
        return {"s_x": posterior.s_x.mean, "s_y": posterior.s_y.mean}

    def _measure(self) -> dict[str, Tensor]:
        test, posterior = self.worlds.test, self._infer(self.worlds.test)
        terms = paired_terms(test.x, test.y, posterior, self.network.generate(posterior))
        terms = LossTerms(*(term.mean(-1) for term in terms))  # [R] each
        metrics = {f"test/{name}": term for name, term in terms._asdict().items()}
        # Weights 1 for every variant, also those trained without a term: only then do their ELBOs compare.
        metrics["test/elbo"] = -terms.loss(Weights())
        for latent, inferred, sample in (
            ("s_x", posterior.s_x, posterior.s_x_value), ("s_y", posterior.s_y, posterior.s_y_value)
        ):  # fmt: skip
            # The same directions at every epoch and for every variant, so that curves compare.
            values = diagnose(inferred, sample, Randomness.seeded(self.config.seed, MEASURING))
            metrics |= {f"{latent}/{name}": value for name, value in values.items()}
        return metrics


class JEPATrainer(PairTrainer):
    """Trains deterministic JEPA.

    Args:
        target: source of the targets.
        worlds: the data.
        config: sizes and optimiser.
    """

    def __init__(self, *, target: Target, worlds: Worlds, config: StudyConfig) -> None:
        self.network = JEPANetwork(
            d_observed=D_OBSERVED, d_s=D_S, random=StackedRandomness.seeded(worlds.seeds, INITIAL),
            d_hidden=config.d_hidden, n_layers=config.jepa.n_layers, target=target,
        )  # fmt: skip
        super().__init__(network=self.network, worlds=worlds, config=config, lr=config.jepa.lr)

    def _loss(self, x: Tensor, y: Tensor, random: StackedRandomness) -> Tensor:  # noqa: ARG002 (nothing is sampled)
        prediction, target = self.network(x, y)
        return (prediction - target).square().sum(-1).mean(-1)

    def _after_step(self) -> None:
        self.network.update_target()

    def _embed(self, pairs: Pairs) -> dict[str, Tensor]:
        return {"s_x": self.network.context_encoder(pairs.x)}

    def _measure(self) -> dict[str, Tensor]:
        embedding = self._embed(self.worlds.test)["s_x"]
        return {
            "s_x/active_units": torch.tensor([float(active_units(run)) for run in embedding]),
            "s_x/rankme": torch.tensor([rankme(run) for run in embedding]),
        }
