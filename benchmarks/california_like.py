"""Simulated house prices that behave like a census table of California: to try regression without a download.

    python -m benchmarks.california_like OUT [--rows 20640] [--seed 0]

Writes a CSV or Parquet file. What makes the original hard is kept:

- prices depend on where a block lies (coast, two cities, a smooth field of neighbourhoods that no other column shows),
- they are skewed, with noise that is skewed as well and larger where houses are dear,
- they are capped at 5.00001, and block sizes have long tails,
- columns interact: income counts for more near the coast and the cities.

The values are in units of 100,000 dollars. A few percent of the ages and rooms are missing.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from varjepa.evaluation.arrays import Floats

ROWS = 20_640
LABEL = "price"
CAP = 5.00001
"""Dearer blocks are written as this."""

CITIES = ((34.05, -118.25, 1.0), (37.77, -122.42, 1.3))
"""Latitude, longitude and pull of the two large cities."""

BUMPS = 60
"""Gaussian bumps that make up the field of neighbourhoods."""


def california_like(rows: int = ROWS, *, seed: int = 0, missing: float = 0.02) -> pl.DataFrame:
    """Simulates blocks of houses.

    Args:
        rows: number of rows.
        seed: of the rows; the map is the same for all seeds.
        missing: share of cells of `age` and `rooms` that are null, in [0, 1).

    Returns:
        Nine columns: `income`, `age`, `rooms`, `bedrooms`, `population`, `occupancy`, `latitude`, `longitude` and
        `region` (a category), then the label `price`.
    """
    rng = np.random.default_rng([seed, 41])
    latitude, longitude = _places(rows, rng)
    coast, city = _coast(latitude, longitude), _city(latitude, longitude)
    field = _neighbourhood(latitude, longitude)
    # Income follows the field a little, so neither says all about the other; it has a long tail.
    income = np.exp(1.2 + 0.15 * city + 0.12 * field + 0.42 * rng.normal(size=rows)).clip(0.5, 15.0)
    age = (20 + 12 * city + 9 * rng.normal(size=rows)).clip(1, 52).round()
    rooms = np.exp(1.62 + 0.09 * (income - 3.9) / 2 - 0.1 * city + 0.2 * rng.normal(size=rows))
    bedrooms = (1.05 + 0.02 * rng.standard_t(4, size=rows) + 0.02 * (rooms - 5)).clip(0.4, 6.0)
    population = np.exp(7.0 + 0.2 * city + 0.65 * rng.normal(size=rows)).round()
    occupancy = np.exp(1.0 - 0.04 * (income - 3.9) + 0.2 * rng.normal(size=rows))
    log_price = (
        -0.05 + 0.55 * np.log(income) * (0.7 + 0.35 * coast + 0.25 * city) + 0.42 * coast + 0.22 * city + 0.26 * field
        - 0.32 * (occupancy - 2.8) / 2 + 0.04 * (rooms - 5) + 0.003 * (age - 28) * city
    )  # fmt: skip
    # The noise is larger near the coast and the cities, and its upper tail is longer.
    spread = 0.1 + 0.09 * coast + 0.06 * city + 0.05 * (income > 6)
    noise = spread * (rng.gamma(4.0, 0.5, size=rows) - 2.0)
    price = np.exp(log_price + noise).clip(0.15, CAP)
    holes = rng.random((2, rows)) < missing
    columns = {
        "income": income.round(4), "age": np.where(holes[0], np.nan, age), "rooms": np.where(holes[1], np.nan, rooms),
        "bedrooms": bedrooms.round(4), "population": population, "occupancy": occupancy.round(4),
        "latitude": latitude.round(3), "longitude": longitude.round(3),
    }  # fmt: skip
    frame = pl.DataFrame(columns).with_columns(pl.col("age", "rooms").fill_nan(None))
    regions = np.array(["inland", "near city", "coast"])[np.where(coast > 0.5, 2, np.where(city > 0.5, 1, 0))]
    return frame.with_columns(region=pl.Series(regions.tolist()), price=pl.Series(price.round(5)))


def _places(rows: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Latitude and longitude: 70% of the blocks around the cities, the others along a band from south to north."""
    city = rng.choice(3, size=rows, p=[0.42, 0.28, 0.3])
    along = rng.random(rows)
    latitude, longitude = 32.6 + 9 * along, -117.2 - 6.8 * along + 2.4 * rng.random(rows)
    for number, (north, west, _) in enumerate(CITIES):
        around = city == number
        spread = 0.35 * rng.normal(size=(2, int(around.sum())))
        latitude[around], longitude[around] = north + spread[0], west + 0.3 + spread[1]
    return latitude, longitude


def _coast(latitude: Floats, longitude: Floats) -> Floats:
    """Nearness to the coast, in (0, 1)."""
    shore = -117.2 - 0.85 * (latitude - 32.6)  # longitude of the coast at this latitude
    return np.exp(-np.abs(longitude - shore) / 0.5)


def _city(latitude: Floats, longitude: Floats) -> Floats:
    """Nearness to a large city, about 0 to 1.3."""
    pulls = [pull * np.exp(-np.hypot(latitude - n, longitude - w) / 0.4) for n, w, pull in CITIES]
    return np.sum(pulls, axis=0)


def _neighbourhood(latitude: Floats, longitude: Floats) -> Floats:
    """A field of neighbourhoods, the same for all seeds, of mean 0 and standard deviation about 1."""
    rng = np.random.default_rng(42)
    around = rng.integers(len(CITIES), size=BUMPS)
    centres = np.array(CITIES)[around, :2] + [0, 0.3] + 0.45 * rng.normal(size=(BUMPS, 2))
    heights, widths = rng.normal(size=BUMPS), rng.uniform(0.06, 0.25, size=BUMPS)
    field = np.zeros(len(latitude))
    for (north, west), height, width in zip(centres, heights, widths, strict=True):
        squared = (latitude - north) ** 2 + (longitude - west) ** 2
        field += height * np.exp(-0.5 * squared / width**2)
    return field.clip(-2.5, 2.5)


def main() -> None:
    """Writes a file of simulated rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    frame = california_like(words.rows, seed=words.seed)
    if words.out.suffix == ".csv":
        frame.write_csv(words.out)
    else:
        frame.write_parquet(words.out)


if __name__ == "__main__":
    main()
