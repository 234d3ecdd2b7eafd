"""The training step with the sizes of the paper's tables: rows per second, and the share of the machine's arithmetic.

Measures both precisions, both kinds of network, and the alternative that a user would write: the same network with
torch's own transformer layers.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.harness import Figure, child, in_turns
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.config.learning import ModelSection
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.models.masks import draw_masks, draw_sizes
from varjepa.models.new_network import build_network
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.nn.attention import Attention
from varjepa.nn.random import Randomness, initial_weights
from varjepa.nn.transformer import Block, TransformerEncoder
from varjepa.objective.elbo import final_weights, loss_terms
from varjepa.training.device import keep_memory
from varjepa.training.loop import Trainer

BATCH, STEPS, REPEATS = 512, 4, 5


class Shape(NamedTuple):
    """A table and its published settings."""

    sizes: TableSizes
    model: ModelSection
    masking: MaskingSection
    batch: int = BATCH


def _model(n_heads: int, d_feedforward: int, dropout: float) -> ModelSection:
    return ModelSection(n_heads=n_heads, d_feedforward=d_feedforward, dropout=dropout)


SHAPES = {
    "adult": Shape(
        TableSizes(6, [11, 18, 9, 17, 8, 7, 4, 44]), _model(4, 256, 0.001),
        MaskingSection(ctx_share_min=0.1, ctx_share_max=0.3, trg_share_min=0.1, trg_share_max=0.6),
    ),
    "covertype": Shape(  # as it comes: 44 one-hot columns on their own
        TableSizes(10, [4] * 44), _model(8, 64, 0.0015),
        MaskingSection(ctx_share_min=0.15, ctx_share_max=0.35, trg_share_min=0.15, trg_share_max=0.6),
    ),
    "mnist": Shape(  # 784 tokens a row; published in batches of 256, which is a job for a GPU
        TableSizes(784, []),
        ModelSection(n_heads=4, d_feedforward=128, dropout=0.001, pred_d=32),
        MaskingSection(ctx_share_min=0.15, ctx_share_max=0.5, trg_share_min=0.15, trg_share_max=0.8), 8,
    ),
}  # fmt: skip
ASKED = {"adult": "at least 2,000", "covertype": "at least 600"}


def made_table(sizes: TableSizes, rows: int) -> TableTensors:
    """Random cells, all observed."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.zeros(rows, len(sizes.cardinalities), dtype=torch.long)
    for number, size in enumerate(sizes.cardinalities):
        codes[:, number] = torch.randint(2, size, (rows,), generator=generator)
    numeric = torch.randn(rows, sizes.n_numeric, generator=generator)
    return TableTensors(numeric, codes, torch.ones(rows, sizes.n_features, dtype=torch.bool))


class Stepper:
    """Takes training steps, with the same sequence of batches and mask sizes at every call.

    Args:
        shape: of the table.
        kind: of the network.
        steps: of a call.
        device: where they are taken.
        settings: of `training`.
    """

    def __init__(
        self, shape: Shape, *, kind: str = "var_t_jepa", steps: int = STEPS, device: str = "cpu", **settings: Any
    ) -> None:
        self.batch = shape.batch
        self.table = made_table(shape.sizes, steps * shape.batch).to(device)
        with initial_weights(0):
            network = build_network(sizes=shape.sizes, model=shape.model.model_copy(update={"kind": kind})).to(device)
        training = TrainingSection(batch_size=shape.batch, **settings)
        self.trainer = Trainer(
            network=network.train(), tables=(self.table, self.table), objective=ObjectiveSection(),
            masking=shape.masking, training=training,
        )  # fmt: skip

    def __call__(self) -> None:
        """Takes the steps."""
        random = Randomness.seeded(0, device=self.table.device)
        for number, start in enumerate(range(0, self.table.n_rows, self.batch)):
            self.trainer._step(self.table.rows(slice(start, start + self.batch)), number, random)


class PlainBlock(nn.Module):
    """A block as users of torch write it."""

    def __init__(self, block: Block, dropout: float) -> None:
        super().__init__()
        width = int(block.norm_attention.normalized_shape[0])
        self.layer = nn.TransformerEncoderLayer(
            width,
            cast("Attention", block.attention).n_heads,
            block.expand.out_features,
            dropout,
            batch_first=True,
            norm_first=True,
        )

    def forward(self, x: Tensor, valid: Tensor | None, random: Randomness | None) -> Tensor:  # noqa: ARG002
        """[B, L, d] -> [B, L, d]."""
        return self.layer(x)


class PlainEncoder(nn.Module):
    """`TransformerEncoder` from torch's own layers."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        blocks = cast("Iterable[Block]", encoder.blocks)
        self.blocks = nn.ModuleList(PlainBlock(block, encoder.dropout) for block in blocks)
        self.norm = nn.LayerNorm(encoder.norm.normalized_shape[0])

    def forward(self, x: Tensor, valid: Tensor | None = None, random: Randomness | None = None) -> Tensor:
        """[B, L, d] -> [B, L, d]."""
        for block in self.blocks:
            x = block(x, valid, random)
        return self.norm(x)


def plain_stepper(shape: Shape) -> Callable[[], None]:
    """The step with torch's transformer layers, in 32 bits, as a careful user would write it."""
    table = made_table(shape.sizes, STEPS * shape.batch)
    network = VarTJEPANetwork(sizes=shape.sizes, model=shape.model).train()
    for holder, name in ((network, "context_encoder"), (network, "target_encoder"), (network.predictor, "encoder")):
        setattr(holder, name, PlainEncoder(getattr(holder, name)))
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    weights = final_weights(ObjectiveSection())

    def steps() -> None:
        random = Randomness.seeded(0)
        for number in range(STEPS):
            batch = table.rows(slice(number * shape.batch, (number + 1) * shape.batch))
            sizes = draw_sizes(shape.sizes.n_features, shape.masking, random)
            masks = draw_masks(batch.observed, sizes, shape.masking.num_targets, random)
            optimizer.zero_grad(set_to_none=True)
            loss_terms(batch, masks, *network(batch, masks, random)).mean().loss(weights).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=True)
            optimizer.step()

    return steps


Product = tuple[int, int, int, int]
"""Batch, rows, inner width and columns of a matrix product."""


class Products(TorchDispatchMode):
    """Counts every matrix product of the steps by its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: dict[Product, int] = defaultdict(int)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Is called once per operation."""
        name = func._schema.name
        if name in ("aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm"):
            a, b = args[-2:]
            self.counted[a.shape[0] if a.dim() == 3 else 1, a.shape[-2], a.shape[-1], b.shape[-1]] += 1
        return func(*args, **(kwargs or {}))


def products_of(stepper: Callable[[], None]) -> dict[Product, int]:
    """Shapes of the products of one call, and how many of each."""
    with Products() as counter:
        stepper()
    return counter.counted


def flops(products: dict[Product, int]) -> int:
    """Multiplications and additions of all products."""
    return sum(2 * b * m * k * n * count for (b, m, k, n), count in products.items())


def torch_mm(products: dict[Product, int], dtype: torch.dtype) -> Callable[[], None]:
    """The same products on new memory, one after the other: the speed of `torch.mm` on the shapes of the step."""
    operands = {
        (b, m, k, n): (torch.randn(b, m, k).to(dtype).squeeze(0), torch.randn(b, k, n).to(dtype).squeeze(0))
        for b, m, k, n in products
    }

    def run() -> None:
        for shape, count in products.items():
            for _ in range(count):
                torch.matmul(*operands[shape])

    return run


def measured(name: str) -> list[Figure]:
    """Figures for one table."""
    keep_memory()
    shape = SHAPES[name]
    rows = STEPS * shape.batch
    steppers = {
        "bfloat16": Stepper(shape, precision="bfloat16"),
        "float32": Stepper(shape, precision="float32"),
        "t_jepa": Stepper(shape, kind="t_jepa", precision="bfloat16"),
    }
    products = products_of(steppers["float32"])
    work = flops(products)
    calls: dict[str, Callable[[], Any]] = dict(steppers) | {
        "plain": plain_stepper(shape),
        "mm32": torch_mm(products, torch.float32),
        "mm16": torch_mm(products, torch.bfloat16),
    }
    found = in_turns(calls, REPEATS)
    speed = {key: rows / timing.median for key, timing in found.items()}
    asked = ASKED.get(name, "")
    return [
        Figure(f"{name}: Var-T-JEPA, bfloat16", speed["bfloat16"], "rows/s", found["bfloat16"].noise, asked),
        Figure(f"{name}: Var-T-JEPA, float32", speed["float32"], "rows/s", found["float32"].noise),
        Figure(f"{name}: T-JEPA, bfloat16", speed["t_jepa"], "rows/s", found["t_jepa"].noise),
        Figure(f"{name}: torch's own layers, float32", speed["plain"], "rows/s", found["plain"].noise),
        Figure(f"{name}: bfloat16 over torch's own layers", speed["bfloat16"] / speed["plain"], "x"),
        Figure(f"{name}: arithmetic of a step", work / STEPS / 1e9, "GFLOP"),
        Figure(f"{name}: torch.mm on its shapes, float32", work / found["mm32"].median / 1e9, "GFLOP/s"),
        Figure(f"{name}: torch.mm on its shapes, bfloat16", work / found["mm16"].median / 1e9, "GFLOP/s"),
        Figure(f"{name}: float32 step over torch.mm in float32", found["mm32"].median / found["float32"].median, "x",
               None, "at least 0.4"),
        Figure(f"{name}: bfloat16 step over torch.mm in float32", found["mm32"].median / found["bfloat16"].median,
               "x"),
        Figure(f"{name}: bfloat16 step over torch.mm in bfloat16", found["mm16"].median / found["bfloat16"].median,
               "x"),
    ]  # fmt: skip


MEMORY = """
import resource, sys
import benchmarks.training as t
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
imports = peak()
t.keep_memory()
stepper = t.Stepper(t.SHAPES[sys.argv[1]], precision=sys.argv[2])
for _ in range(3): stepper()
print(peak() - imports)
"""


def memory(name: str, precision: str) -> Figure:
    """Peak memory of a process that trains, above its imports."""
    _, out = child("-c", MEMORY, name, precision)
    return Figure(f"{name}: memory above the imports, {precision}", float(out), "GiB", None, "under 1")


def run() -> list[Figure]:
    """Figures for all tables."""
    return [
        figure for name in SHAPES for figure in [*measured(name), memory(name, "bfloat16"), memory(name, "float32")]
    ]
