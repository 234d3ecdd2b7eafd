"""One HTML page that says what a validation found, readable without a network."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.expectations import Finding

EXAMPLES = 5
"""Broken cells shown per rule."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; --good: #2e7d4f; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.column, td.examples { overflow-wrap: anywhere; }
td.examples { font-size: .9em; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); }
"""


def render_page(
    findings: Sequence["Finding"], *, rows: int, quarantined: int, allowed: float, trouble: str, docs: str
) -> str:
    """Renders the page.

    Args:
        findings: what came of each rule.
        rows: rows of the table.
        quarantined: rows that broke a row rule.
        allowed: the share of such rows that the contract allows.
        trouble: why the contract is broken; empty where it is kept.
        docs: relative link to the Data Docs.
    """
    worst_first = sorted(findings, key=lambda finding: (finding.kept, bool(finding.rule.broken), -finding.broken))
    verdict = f'<p class="bad">Broken: {escape(trouble)}</p>' if trouble else '<p class="good">The contract is kept.</p>'
    share = quarantined / rows if rows else 0
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data validation</title>
<style>{_STYLE}</style>
<h1>Data validation</h1>
{verdict}
<p>{rows:,} rows, {quarantined:,} of them in quarantine ({share:.2%}, at most {allowed:.2%} allowed);
{len(findings)} rules, {sum(finding.kept for finding in findings)} of them kept by every row.
Rows are numbered from 0. <a href="{escape(docs)}">Great Expectations Data Docs</a></p>
<table>
<tr><th>Column<th>Rule<th>Verdict<th>Rows broken<th>Examples</tr>
{"".join(_line(finding, rows) for finding in worst_first)}</table>
</html>
"""


def _line(finding: "Finding", rows: int) -> str:
    column = escape(finding.rule.column) or "<i>the table</i>"
    verdict = '<td class="good">kept' if finding.kept else '<td class="bad">broken'
    count = f"{finding.broken:,} ({finding.broken / rows:.2%})" if finding.broken else ""
    shown = "<br>".join(escape(example) for example in finding.examples[:EXAMPLES]) or escape(finding.told)
    return (
        f'<tr><td class="column">{column}<td>{escape(finding.rule.says)}{verdict}'
        f'<td class="number">{count}<td class="examples">{shown}</tr>\n'
    )
