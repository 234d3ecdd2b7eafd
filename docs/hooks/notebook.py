"""A notebook with its stored outputs as Markdown."""

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def notebook_page(path: Path) -> str:
    """Markdown of all cells, without the first line, which is the title of the page as well."""
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join(map(_cell, cells)).partition("\n")[2]


def _cell(cell: Mapping[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source.replace("](../docs/", "](../")  # from examples/, and from docs/notebooks/
    outputs = "\n\n".join(filter(None, map(_output, cell["outputs"])))
    return f"```python\n{source}\n```\n\n{outputs}"


def _output(output: Mapping[str, Any]) -> str:
    """An output as a block of HTML: a picture, a page, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        image = "".join(data["image/png"]).replace("\n", "")
        return f'<img class="output" alt="output of the cell above" src="data:image/png;base64,{image}">'
    if "text/html" in data:
        # A blank line would end the block.
        page = "".join(data["text/html"])
        return f'<div class="output">{" ".join(page.split(chr(10)))}</div>'
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f'<pre class="output">{html.escape(text).rstrip()}</pre>' if text.strip() else ""
