"""The notebooks in examples/ run from top to bottom, and are stored with outputs."""

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """One kernel, which has imported what the notebooks import after the first of them."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=os.environ | {"PYTHONPATH": str(ROOT)})  # this checkout, wherever the kernel starts
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, kernel: KernelManager) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))  # nothing of the notebook before is left
    NotebookClient(notebook, timeout=300, km=kernel).execute(cleanup_kc=False)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_its_outputs_and_without_traces(path: Path) -> None:
    text, cells = path.read_text(), nbformat.read(path, as_version=4).cells
    assert cells[0].source.startswith("# ")
    last = [cell for cell in cells if cell.cell_type == "code"][-1]
    assert last.outputs
    faults = [output for cell in cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert faults == []
    assert "site-packages" not in text  # warnings with paths of somebody's machine
    assert len(text) < 200_000


def test_there_are_five_of_them() -> None:
    names = ["certificate", "impute_and_sample", "predictions", "quick_start", "similar_rows"]
    assert [path.stem for path in NOTEBOOKS] == names
