"""Draws docs/figures/architecture.svg: a retrain from left to right, and the floors of the code.

python -m benchmarks.architecture
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "architecture.svg"
WIDTH, HEIGHT = 960, 500
BOX = 116, 58
"""Width and height of a step."""

BLUE, ORANGE, GREEN, GREY = "#3366aa", "#cc6633", "#449966", "#888888"


class Box(NamedTuple):
    """A box with a name, what it does, and its place.

    Attributes:
        name: in bold.
        lines: below it.
        x: of its left edge.
        y: of its upper edge.
        color: of its frame.
        size: width and height.
    """

    name: str
    lines: tuple[str, ...]
    x: int
    y: int
    color: str = BLUE
    size: tuple[int, int] = BOX


STEPS = [
    Box("table", ("file, store,", "database"), 22, 60, GREY),
    Box("validate", ("contract;", "quarantine"), 162, 60),
    Box("preprocess", ("split, features,", "tensors"), 302, 60),
    Box("pretrain", ("Var-T-JEPA,", "no labels"), 442, 60),
    Box("probe, calibrate", ("head, certificate,", "sets, intervals"), 582, 20),
    Box("generate, compact", ("cells from cells;", "compact vectors"), 582, 100),
    Box("gate", ("champion against", "challenger"), 716, 60, ORANGE, (110, 58)),
    Box("registry", ("versions, card,", "alias champion"), 848, 60, GREEN, (100, 58)),
]
ARROWS = [(0, 1), (1, 2), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6), (6, 7)]
USES = [
    Box("score", ("prediction, uncertainty,", "accept, anomaly"), 442, 200, GREEN, (150, 58)),
    Box("impute, sample, similar", ("fill, draw, search",), 606, 200, GREEN, (166, 58)),
    Box("serve", ("answers over HTTP",), 786, 200, GREEN, (162, 58)),
    Box("drift, evaluate", ("new rows against the reference;", "promises against labels"), 182, 200, ORANGE, (220, 58)),
]
FLOORS = [
    Box("varjepa.flows", ("the command line and the Prefect flows: composition only",), 22, 300, BLUE, (926, 46)),
    Box(
        "varjepa.tasks",
        ("steps, MLflow, Great Expectations, servers, the file system",), 22, 354, BLUE, (926, 46),
    ),
    Box(
        "the library: varjepa.inference, training, models, objective, evaluation, data, config",
        ("tensors and tables; knows no Prefect, MLflow or Great Expectations",), 22, 408, BLUE, (926, 46),
    ),
]  # fmt: skip


def drawn(box: Box) -> Iterator[str]:
    """A box as elements of SVG."""
    width, height = box.size
    yield (f'<rect x="{box.x}" y="{box.y}" width="{width}" height="{height}" rx="6" fill="white" '
           f'stroke="{box.color}" stroke-width="1.6"/>')  # fmt: skip
    middle = box.x + width / 2
    yield f'<text x="{middle}" y="{box.y + 19}" class="name">{escape(box.name)}</text>'
    for number, line in enumerate(box.lines):
        yield f'<text x="{middle}" y="{box.y + 35 + 14 * number}">{escape(line)}</text>'


def arrow(start: tuple[float, float], end: tuple[float, float], color: str = GREY) -> str:
    """A line with a head."""
    (x, y), (to_x, to_y) = start, end
    return f'<path d="M{x} {y} L{to_x} {to_y}" stroke="{color}" stroke-width="1.6" marker-end="url(#head)"/>'


def between(left: Box, right: Box) -> str:
    """An arrow from the right edge of one box to the left edge of another."""
    return arrow((left.x + left.size[0], left.y + left.size[1] / 2), (right.x - 2, right.y + right.size[1] / 2))


def picture() -> Iterator[str]:
    """All elements."""
    about = "Steps of a retrain, what a registered model is used for, and the floors of the code"
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    yield f'<svg {frame} role="img" aria-label="{about}">'
    yield ("<style>text{font:11px sans-serif;text-anchor:middle;fill:#333}.name{font-weight:bold;font-size:12px}"
           ".note{fill:#666;font-style:italic}</style>")  # fmt: skip
    yield ('<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
           'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#888888"/></marker></defs>')  # fmt: skip
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#f7f8fa"/>'
    for box in (*STEPS, *USES, *FLOORS):
        yield from drawn(box)
    yield from (between(STEPS[left], STEPS[right]) for left, right in ARROWS)
    # What the registry hands out, below it, from right to left.
    yield '<path d="M895 118 L895 172 L292 172" fill="none" stroke="#888888" stroke-width="1.6"/>'
    yield from (arrow((x, 172), (x, 198)) for x in (292, 517, 689, 867))
    # Drift starts the next retrain.
    yield '<path d="M182 229 L80 229 L80 120" fill="none" stroke="#cc6633" stroke-width="1.6" marker-end="url(#head)"/>'
    yield '<text x="128" y="222" class="note">retrain</text>'
    yield '<text x="485" y="288" class="note">floors of the code: imports run down only</text>'
    yield ('<text x="485" y="478" class="note">every step keeps its result in a folder named by what it depends on: '
           "finished steps are reused, killed runs go on</text>")  # fmt: skip
    yield "</svg>"


def main() -> None:
    """Writes the picture."""
    FIGURE.write_text("\n".join(picture()) + "\n")


if __name__ == "__main__":
    main()
