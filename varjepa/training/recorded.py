"""Training steps as CUDA graphs: a GPU that replays a step does not wait for Python to launch its small kernels."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from varjepa.data.tensors.table import TableTensors
from varjepa.nn.random import Randomness

MOST = 128
"""Graphs that are kept. Masks of 14 features have 32 sizes by the published shares, those of 30 features 112; the steps
of far wider tables are long enough to hide Python."""

Sizes = tuple[int, int]
Run = Callable[[TableTensors, Sizes, Randomness], Tensor]
"""A step: from a batch, the sizes of its masks and randomness to its terms, weights being changed in place. It must not
wait for the device, and what it does must follow from the shapes."""


@dataclass(frozen=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    terms: Tensor


class RecordedSteps:
    """Runs steps; from the second of its kind on, a step is a graph that is replayed.

    A kind is a pair of mask sizes at the full size of a batch. A graph draws the numbers that its step would draw.

    Args:
        run: the step. What else it reads and changes must stay where it is in memory: parameters, the optimiser's
            state, learning rate and weights of the terms.
        batch_size: rows of a full batch; others are run as they are.
        device: a GPU.
    """

    def __init__(self, run: Run, batch_size: int, device: torch.device) -> None:
        self.run, self.batch_size = run, batch_size
        self.generator = torch.Generator(device)
        self.pool = torch.cuda.graph_pool_handle()
        self.met = set[Sizes]()
        self.recorded = dict[Sizes, _Recorded]()
        self.batch: TableTensors | None = None

    def __call__(self, table: TableTensors, sizes: Sizes, random: Randomness) -> Tensor:
        """The terms of a step; to be read before the next step."""
        if table.n_rows != self.batch_size:
            return self.run(table, sizes, random)
        if sizes not in self.recorded:
            if sizes not in self.met or len(self.recorded) == MOST:
                self.met.add(sizes)
                return self.run(table, sizes, random)
            self.recorded[sizes] = self._record(self._placed(table), sizes, random)
        self._placed(table)
        # Graphs know one generator, which takes the place of that of the epoch for the time of a step.
        self.generator.set_state(random.device.get_state())
        found = self.recorded[sizes]
        found.graph.replay()
        random.device.set_state(self.generator.get_state())
        return found.terms

    def _placed(self, table: TableTensors) -> TableTensors:
        """The batch where the graphs look for it."""
        if self.batch is None:
            self.batch = TableTensors(*(part.clone() for part in table))
        for place, part in zip(self.batch, table, strict=True):
            place.copy_(part)
        return self.batch

    def _record(self, batch: TableTensors, sizes: Sizes, random: Randomness) -> _Recorded:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph, pool=self.pool):
            terms = self.run(batch, sizes, replace(random, device=self.generator))
        return _Recorded(graph, terms)
