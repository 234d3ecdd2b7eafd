"""Orders of a shop, of which some were sent back."""

import numpy as np

from benchmarks.messy_tables.written import MessyTable, drawn, european, gapped, happens, with_gaps

STREETS = [
    "Lindenweg",
    "Hauptstraße",
    "Bahnhofstraße",
    "Gartenweg",
    "Rue_Cavour",
    "Via_Garibaldi",
    "High_Street",
    "Kerkstraat",
    "Calle_Mayor",
    "Dorpsplein",
]
CITIES = ("Berlin", "Lyon", "Torino", "Leeds", "Utrecht", "Sevilla")
THINGS = (
    "Running shoes",
    "Summer dress",
    "Wool sweater",
    "Coffee mug",
    "Desk lamp",
    "Leather belt",
    "Rain jacket",
    "Cook book",
)
BRANDS = ("Aurelia", "Norrland", "Kestrel", "Bramble & Co", "Solvej")
COLOURS = ("red", "navy blue", "black", "olive green", "off-white", "mustard")
RETURNED, FAR = ("Running shoes", "Summer dress", "Rain jacket"), ("Torino", "Sevilla")
SUPPLIERS = 5_000


def shop(rows: int, seed: int) -> MessyTable:
    """Addresses in one cell, product titles, 5,000 suppliers, prices such as EUR 1.299,00, telephone numbers."""
    rng = np.random.default_rng(seed)
    thing, city = drawn(rng, THINGS, rows), drawn(rng, CITIES, rows)
    titles = [_title(rng, name) for name in thing]
    price, discount = np.round(rng.lognormal(4, 0.9, rows), 2), rng.choice([0, 5, 10, 12.5, 20], rows)
    weight, no_weight = np.round(rng.gamma(2, 0.6, rows), 1) + 0.1, rng.random(rows) < 0.08
    score = (
        -1.6 + 2.2 * np.isin(thing, RETURNED) + 1.6 * np.isin(city, FAR) + 0.5 * np.log(price / 55) - 0.05 * discount
    )
    returned = happens(rng, score)
    text = {
        "order no": [f"{number}" for number in rng.permutation(np.arange(100_000, 100_000 + 2 * rows, 2))],
        "ship to": [_address(rng, town) for town in city],
        "product": titles,
        "supplier": [f"S{number:04.0f}" for number in SUPPLIERS * rng.random(rows) ** 3],
        "price": [f"EUR {european(number)}" for number in price],
        "discount": [f"{european(share, 1)}%" for share in discount],
        "phone": [
            f"+{rng.choice([49, 33, 39, 44])} {rng.integers(100, 999)} {rng.integers(1_000_000, 9_999_999)}"
            for _ in range(rows)
        ],
        "zip": [f"{number:05}" for number in rng.integers(1, 99_999, rows)],
        "weight": gapped([f"{european(kilos, 1)} kg" for kilos in weight], no_weight, "n/a"),
        "gift": drawn(rng, ["Y", "N"], rows, [0.2, 0.8]),
        "ordered": [
            f"{rng.integers(1, 29)}. {month} {rng.integers(2024, 2026)}"
            for month in drawn(rng, ["Januar", "März", "Mai", "Dez."], rows)
        ],
        "returned": ["yes" if back else "no" for back in returned],
    }
    values = {
        "thing": thing,
        "city": city,
        "price": price,
        "discount": discount,
        "weight": with_gaps(weight, no_weight),
    }
    return MessyTable("returned", text, values, returned)


def _title(rng: np.random.Generator, thing: str) -> str:
    size = rng.choice(["XS", "M", "XXL", "42", "one size"])
    return f"{rng.choice(BRANDS)} {thing}, {rng.choice(COLOURS)} ({size}, art. {rng.integers(1000, 9999)})"


def _address(rng: np.random.Generator, city: str) -> str:
    return f"{str(rng.choice(STREETS)).replace('_', ' ')} {rng.integers(1, 200)}, {city}"
