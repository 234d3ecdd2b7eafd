"""Houses and their prices, in 80 mixed columns."""

import numpy as np

from benchmarks.messy_tables.written import MessyTable, drawn, gapped, with_gaps

QUALITY = ("Po", "Fa", "TA", "Gd", "Ex")
QUALITIES = (
    "Exter Qual",
    "Exter Cond",
    "Bsmt Qual",
    "Bsmt Cond",
    "Heating QC",
    "Kitchen Qual",
    "Fireplace Qu",
    "Garage Qual",
    "Garage Cond",
    "Pool QC",
)
SKEWED = (
    "Street",
    "Utilities",
    "Condition 2",
    "Roof Matl",
    "Heating",
    "Land Slope",
    "Central Air",
    "Paved Drive",
    "Misc Feature",
    "Alley",
)
CHOICES = {
    "MS Zoning": ("RL", "RM", "FV", "C (all)"),
    "Lot Shape": ("Reg", "IR1", "IR2"),
    "Lot Config": ("Inside", "Corner", "CulDSac"),
    "Bldg Type": ("1Fam", "TwnhsE", "Duplex"),
    "House Style": ("1Story", "2Story", "1.5Fin", "SLvl"),
    "Roof Style": ("Gable", "Hip", "Flat"),
    "Exterior 1st": ("VinylSd", "HdBoard", "MetalSd", "Wd Sdng", "BrkFace"),
    "Exterior 2nd": ("VinylSd", "HdBoard", "MetalSd", "Wd Shng"),
    "Mas Vnr Type": ("None", "BrkFace", "Stone"),
    "Foundation": ("PConc", "CBlock", "BrkTil"),
    "Bsmt Exposure": ("No", "Av", "Mn", "Gd"),
    "Fence": ("NA", "MnPrv", "GdPrv"),
    "BsmtFin Type 1": ("GLQ", "Unf", "ALQ", "Rec"),
    "BsmtFin Type 2": ("Unf", "Rec", "LwQ"),
    "Electrical": ("SBrkr", "FuseA"),
    "Garage Type": ("Attchd", "Detchd", "BuiltIn", "NA"),
    "Garage Finish": ("Unf", "RFn", "Fin", "NA"),
    "Land Contour": ("Lvl", "HLS", "Bnk"),
    "Condition 1": ("Norm", "Feedr", "Artery"),
    "Functional": ("Typ", "Min1", "Min2"),
    "Sale Type": ("WD ", "New", "COD"),
    "Sale Condition": ("Normal", "Abnorml", "Partial"),
}
HOODS = [
    "NAmes",
    "CollgCr",
    "OldTown",
    "Edwards",
    "Somerst",
    "NridgHt",
    "Gilbert",
    "Sawyer",
    "NWAmes",
    "SawyerW",
    "Mitchel",
    "BrkSide",
    "Crawfor",
    "IDOTRR",
    "Timber",
    "NoRidge",
    "StoneBr",
    "SWISU",
    "ClearCr",
    "MeadowV",
    "BrDale",
    "Veenker",
    "NPkVill",
    "Blueste",
    "Greens",
    "GrnHill",
]
AREAS = (
    "Mas Vnr Area",
    "BsmtFin SF 1",
    "BsmtFin SF 2",
    "Bsmt Unf SF",
    "Low Qual Fin SF",
    "Wood Deck SF",
    "Open Porch SF",
    "Enclosed Porch",
    "3Ssn Porch",
    "Screen Porch",
    "Pool Area",
    "Misc Val",
)
COUNTS = (
    "Bsmt Full Bath",
    "Bsmt Half Bath",
    "Full Bath",
    "Half Bath",
    "Bedroom AbvGr",
    "Kitchen AbvGr",
    "TotRms AbvGrd",
    "Fireplaces",
    "Garage Cars",
)


def ames(rows: int, seed: int) -> MessyTable:
    """Two identifiers, areas with thousands separators, `NA` for none, words of quality, prices such as $208,500."""
    rng = np.random.default_rng(seed)
    overall, built = rng.integers(2, 11, rows), rng.integers(1900, 2011, rows)
    living, hood = np.clip(rng.lognormal(7.2, 0.33, rows), 400, 5000).astype(int), rng.integers(0, len(HOODS), rows)
    worth = np.linspace(-0.25, 0.3, len(HOODS))[np.random.default_rng(7).permutation(len(HOODS))][hood]
    quality = {name: rng.choice(5, rows, p=[0.02, 0.08, 0.5, 0.3, 0.1]) for name in QUALITIES}
    logged = 10.3 + 0.11 * overall + 0.003 * (built - 1950) + 0.00025 * living + worth + 0.06 * quality["Kitchen Qual"]
    price = (np.round(np.exp(logged + rng.normal(0, 0.1, rows)) / 500) * 500).astype(int)
    frontage, no_frontage = rng.normal(69, 20, rows).clip(21, 200).astype(int), rng.random(rows) < 0.17
    sold = rng.integers(2006, 2011, rows)
    garage, no_garage = np.minimum(built + rng.integers(0, 20, rows), 2010), rng.random(rows) < 0.05
    numbers: dict[str, list[str]] = {
        "MS SubClass": [f"{code:03}" for code in rng.choice([20, 30, 50, 60, 120, 160], rows)],
        "Lot Frontage": gapped([str(feet) for feet in frontage], no_frontage, "NA"),
        "Lot Area": [f"{area:,.0f}" for area in rng.lognormal(9.1, 0.4, rows)],
        "Overall Qual": [str(n) for n in overall],
        "Overall Cond": [str(n) for n in rng.integers(3, 10, rows)],
        "Year Built": [str(year) for year in built],
        "Year Remod/Add": [str(max(1950, year)) for year in built],
        "1st Flr SF": [f"{area:.0f} sqft" for area in living * 0.7],
        "2nd Flr SF": [f"{area:.0f}" for area in living * 0.3],
        "Gr Liv Area": [f"{area:,}" for area in living],
        "Garage Yr Blt": gapped([str(year) for year in garage], no_garage, "NA"),
        "Mo Sold": [str(n) for n in rng.integers(1, 13, rows)],
        "Yr Sold": [str(year) for year in sold],
    }
    amounts = {name: np.where(rng.random(rows) < 0.6, 0, rng.gamma(2, 90, rows)).astype(int) for name in AREAS}
    counts = {name: rng.integers(0, 4, rows) for name in COUNTS}
    words = {name: [QUALITY[k] for k in level] for name, level in quality.items()}
    words["Pool QC"] = gapped(words["Pool QC"], rng.random(rows) < 0.995, "NA")
    words["Fireplace Qu"] = gapped(words["Fireplace Qu"], rng.random(rows) < 0.48, "NA")
    words |= {name: drawn(rng, choices, rows) for name, choices in CHOICES.items()}
    words |= {name: drawn(rng, ["Y", "N"], rows, [0.995, 0.005]) for name in SKEWED[:-2]}
    words |= {name: drawn(rng, ["NA", "Shed"], rows, [0.97, 0.03]) for name in SKEWED[-2:]}
    words["Neighborhood"] = [HOODS[k] for k in hood]
    text = {
        "Order": [str(k) for k in range(1, rows + 1)],
        "PID": [f"0{number}" for number in 526_300_000 + rng.choice(2_000_000, rows, replace=False)],
        **numbers,
        **{name: [str(n) for n in cells] for name, cells in (amounts | counts).items()},
        **words,
        "SalePrice": [f"${dollars:,}" for dollars in price],
    }
    values = {
        "Overall Qual": overall,
        "Year Built": built,
        "Gr Liv Area": living,
        "Yr Sold": sold,
        "Lot Frontage": with_gaps(frontage, no_frontage),
        **amounts,
        **counts,
        **words,
    }
    return MessyTable("SalePrice", text, values, price)
