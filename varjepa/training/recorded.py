"""Training steps as CUDA graphs: a GPU that replays a step does not wait for Python to launch many small kernels."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from varjepa.data.tensors.table import TableTensors
from varjepa.nn.random import Randomness

MOST = 128
"""Largest number of graphs. With the published shares, masks of 14 features have 32 sizes, and those of 30 features
112. For far wider tables, a step takes long enough to hide the time of Python."""

Sizes = tuple[int, int]
Run = Callable[[TableTensors, Sizes, Randomness], Tensor]
"""A step: takes a batch, the sizes of its masks and randomness; returns its terms and changes the weights in place. It
must not wait for the device, and its operations must depend on shapes alone."""


@dataclass(frozen=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    terms: Tensor


class RecordedSteps:
    """Runs steps; from the second step of a kind on, the step is recorded as a graph and replayed.

    A kind is a pair of mask sizes at the full batch size. A graph draws the numbers that its step would draw.

    Args:
        run: the step. Everything else that it reads or changes must keep its address in memory: parameters, the
            optimiser's state, learning rate and weights of the terms.
        batch_size: rows of a full batch; smaller batches are run without a graph.
        device: a GPU.
    """

    def __init__(self, run: Run, batch_size: int, device: torch.device) -> None:
        self.run, self.batch_size = run, batch_size
        self.generator = torch.Generator(device)
        self.pool = torch.cuda.graph_pool_handle()  # one memory pool: graphs run one at a time
        self.warmed_up = set[Sizes]()
        self.recorded = dict[Sizes, _Recorded]()
        self.batch: TableTensors | None = None

    def __call__(self, table: TableTensors, sizes: Sizes, random: Randomness) -> Tensor:
        """The terms of a step; to be read before the next step."""
        if table.n_rows != self.batch_size:
            return self.run(table, sizes, random)
        if sizes not in self.recorded:
            # The first step of a kind runs without a graph: it does lazy set-up that may not happen during recording.
            if sizes not in self.warmed_up or len(self.recorded) == MOST:
                self.warmed_up.add(sizes)
                return self.run(table, sizes, random)
            self.recorded[sizes] = self._record(self._placed(table), sizes, random)
        self._placed(table)
        # Graphs read a single generator, which takes the state of the epoch's generator for the time of a step.
        self.generator.set_state(random.device.get_state())
        step = self.recorded[sizes]
        step.graph.replay()
        random.device.set_state(self.generator.get_state())
        return step.terms

    def _placed(self, table: TableTensors) -> TableTensors:
        """Copies the batch to the address that the graphs read."""
        if self.batch is None:
            self.batch = TableTensors(*(part.clone() for part in table))
        for place, part in zip(self.batch, table, strict=True):
            place.copy_(part)
        return self.batch

    def _record(self, batch: TableTensors, sizes: Sizes, random: Randomness) -> _Recorded:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        # Recording runs nothing: the step's numbers come from the replay that follows.
        with torch.cuda.graph(graph, pool=self.pool):
            terms = self.run(batch, sizes, replace(random, device=self.generator))
        return _Recorded(graph, terms)
