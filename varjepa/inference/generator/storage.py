"""A generator as files: weights, bars and reference, plain data."""

import json
from collections.abc import Mapping
from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.bars import Bars, Cells
from varjepa.inference.generator.reference import Reference
from varjepa.inference.generator.soundness import require_bars, require_layers
from varjepa.inference.generator.table_generator import TableGenerator
from varjepa.models.generator import Generator
from varjepa.models.network import TableNetwork
from varjepa.models.weights import load_weights, read_tensors, write_tensors

GENERATOR, BARS, REFERENCE = "generator.safetensors", "bars.json", "reference.json"


def save_generator(folder: Path, generator: TableGenerator) -> None:
    """Writes the generator's weights, its bars and its reference."""
    write_tensors(folder / GENERATOR, generator.generator.state_dict())
    (folder / BARS).write_text(json.dumps([bars.model_dump() for bars in generator.bars]), encoding="utf-8")
    (folder / REFERENCE).write_text(generator.reference.model_dump_json(), encoding="utf-8")


def load_generator(
    parts: Mapping[str, Path], network: TableNetwork, preprocessor: Preprocessor, config: RetrainConfig
) -> TableGenerator:
    """Reads what `save_generator` wrote, onto the device of the network.

    Args:
        parts: names of the three files -> where they lie.
        network: of the same model.
        preprocessor: of the same model.
        config: of the job.

    Raises:
        FileNotFoundError, ValueError, RuntimeError, SafetensorError: a file is missing or damaged.
    """
    for name in (GENERATOR, BARS, REFERENCE):
        if name not in parts:
            raise FileNotFoundError(2, "missing", name)
    contents = json.loads(parts[BARS].read_text(encoding="utf-8"))
    bars = tuple(Bars.model_validate(content) for content in contents)
    require_bars(bars, preprocessor.sizes.n_numeric)
    reference = Reference.model_validate_json(parts[REFERENCE].read_text(encoding="utf-8"))
    sizes = Cells(bars, preprocessor.sizes.cardinalities).sizes
    weights = read_tensors(parts[GENERATOR])
    require_layers(sum(values.numel() for values in weights.values()), config.generator.n_layers, network.d_hidden)
    generator = Generator(
        sizes=sizes, d_token=network.d_hidden, n_layers=config.generator.n_layers, n_heads=config.model.n_heads
    )
    load_weights(generator, weights, GENERATOR)
    return TableGenerator(network, generator.to(network.device).eval(), bars, preprocessor, reference)
