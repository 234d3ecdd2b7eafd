"""One HTML page that says what a validation found, readable without a network."""

from html import escape

from tasks.contract.findings import Finding, Outcome

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


def render_page(outcome: Outcome, docs: str) -> str:
    """Renders the page.

    Args:
        outcome: what came of the validation.
        docs: relative link to the Data Docs.
    """
    findings = sorted(outcome.findings, key=lambda each: (each.kept, bool(each.rule.broken), -each.broken))
    share = outcome.quarantined / outcome.rows if outcome.rows else 0
    verdict = '<p class="good">The contract is kept.</p>'
    if outcome.trouble:
        verdict = f'<p class="bad">The contract is broken: {escape(outcome.trouble)}.</p>'
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data validation</title>
<style>{_STYLE}</style>
<h1>Data validation</h1>
{verdict}
<p>{outcome.rows:,} rows, {outcome.quarantined:,} of them in quarantine ({share:.2%}, at most {outcome.allowed:.2%}
allowed); {len(findings)} rules, {sum(finding.kept for finding in findings)} of them kept without exception.
Rows are numbered from 0. <a href="{escape(docs)}">Great Expectations Data Docs</a></p>
<table>
<tr><th>Column<th>Rule<th>Verdict<th>Rows broken<th>Examples</tr>
{"".join(_line(finding, outcome.rows) for finding in findings)}</table>
</html>
"""


def _line(finding: Finding, rows: int) -> str:
    column = escape(finding.rule.column) or "<i>the table</i>"
    verdict = '<td class="good">kept' if finding.kept else '<td class="bad">broken'
    count = f"{finding.broken:,} ({finding.broken / rows:.2%})" if finding.broken else ""
    shown = "<br>".join(escape(example) for example in finding.examples[:EXAMPLES]) or escape(finding.problem)
    return (
        f'<tr><td class="column">{column}<td>{escape(finding.rule.says)}{verdict}'
        f'<td class="number">{count}<td class="examples">{shown}</tr>\n'
    )
