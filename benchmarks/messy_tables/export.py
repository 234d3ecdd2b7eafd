"""Invoices, as a German program exports them for a spreadsheet."""

from datetime import date, timedelta

import numpy as np

from benchmarks.messy_tables.written import MessyTable, drawn, european, gapped, happens, with_gaps

REGIONS = ("München", "Köln", "Düsseldorf", "Würzburg", "Göttingen", "Lübeck")
BRANCHES = ("Groß- und Einzelhandel", "Baugewerbe", "Öffentlicher Dienst", "Gastgewerbe")


def export(rows: int, seed: int) -> MessyTable:
    """Windows-1252, semicolons, also behind the last cells, lines before the header, decimal commas, k.A. for gaps."""
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 1400, rows)
    billed = [date(2021, 1, 1) + timedelta(int(day)) for day in days]
    amount, rebate = np.round(rng.lognormal(7, 1.1, rows), 2), np.round(rng.uniform(0, 12, rows), 1)
    region, branch = drawn(rng, REGIONS, rows), drawn(rng, BRANCHES, rows)
    term = rng.choice([7, 14, 30, 60], rows)
    balance, no_balance = np.round(rng.normal(0, 4000, rows), 2), rng.random(rows) < 0.12
    score = -1 + 0.9 * np.log(amount / 1100) + (np.array(branch) == "Gastgewerbe") * 1.5 - balance / 3000 + 0.02 * term
    late = happens(rng, score - 0.8 * (np.array(region) == "München"))
    postal = [f"{code:05}" for code in rng.choice(np.random.default_rng(3).integers(1000, 99999, 60), rows)]
    text = {
        "Beleg-Nr.": [f"RE-{2021 + day // 365}-{number:05}" for number, day in enumerate(days, 1)],
        "Rechnungsdatum": [day.strftime("%d.%m.%Y") for day in billed],
        "Fällig am": [
            (day + timedelta(int(span))).strftime("%d.%m.%y") for day, span in zip(billed, term, strict=True)
        ],
        "Betrag (€)": [european(number) for number in amount],
        "Rabatt %": [f"{european(number, 1)} %" for number in rebate],
        "Saldo Vorjahr": gapped([_behind(number) for number in balance], no_balance, "k.A."),
        "PLZ": postal,
        "Größe": gapped(drawn(rng, ["klein", "mittel", "groß"], rows), rng.random(rows) < 0.1, "k.A."),
        "Region": region,
        "Branche": branch,
        "Stammkunde": drawn(rng, ["ja", "nein"], rows),
        "zu spät": ["ja" if is_late else "nein" for is_late in late],
    }
    values = {
        "day": days,
        "term": term,
        "amount": amount,
        "rebate": rebate,
        "balance": with_gaps(balance, no_balance),
        "region": region,
        "branch": branch,
        "size": text["Größe"],
    }
    before = ("Auswertung offene Posten", "Stand: 01.06.2026; Mandant 100", "")
    return MessyTable(
        "zu spät", text, values, late, separator=";", encoding="cp1252", line_end="\r\n", before=before, behind=";"
    )


def _behind(number: float) -> str:
    """A number with its minus behind it, as SAP writes it."""
    return european(abs(number)) + ("-" if number < 0 else "")
