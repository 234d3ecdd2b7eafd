"""Passengers of a ship, of whom some survived."""

import numpy as np

from benchmarks.messy_tables.written import MessyTable, drawn, gapped, happens, with_gaps

SURNAMES = [
    "Braund",
    "Cumings",
    "Heikkinen",
    "Futrelle",
    "Allen",
    "Moran",
    "McCarthy",
    "Palsson",
    "Johnson",
    "Nasser",
    "Sandstrom",
    "Bonnell",
    "Saundercock",
    "Andersson",
    "Vestrom",
    "Hewlett",
    "Rice",
    "Williams",
    "Masselmani",
    "Fynney",
    "Beesley",
    "McGowan",
    "Sloper",
    "Asplund",
    "Emir",
    "Fortune",
    "Todoroff",
    "Uruchurtu",
    "Wheadon",
    "Meyer",
    "Holverson",
    "Mamee",
    "Cann",
    "Ahlin",
    "Turpin",
    "Kraft",
    "Laroche",
    "Rogers",
    "Lennon",
    "Samaan",
    "Arnold",
    "Panula",
    "Nosworthy",
    "Harper",
    "Faunthorpe",
    "Ostby",
    "Woolner",
    "Rugg",
    "Novel",
    "West",
    "Goodwin",
    "Sirayanian",
    "Icard",
    "Skoog",
    "Stewart",
    "Moubarek",
    "Nye",
    "Crease",
    "Jussila",
    "Kink",
    "Jenkin",
    "Hood",
]
MEN = [
    "Owen",
    "William",
    "James",
    "Timothy",
    "Gosta",
    "Charles",
    "Anders",
    "Eugene",
    "Eric",
    "Lawrence",
    "Edward",
    "Henry",
    "Karl",
    "Nils",
    "Peter",
    "Ernst",
    "Percy",
]
WOMEN = [
    "Florence",
    "Laina",
    "Lily",
    "Elisabeth",
    "Adele",
    "Marguerite",
    "Anna",
    "Jane",
    "Hulda",
    "Ellen",
    "Augusta",
    "Mary",
    "Helen",
    "Bertha",
    "Alice",
    "Ida",
]
MAIDENS = ["Briggs", "Thayer", "Peel", "Vilhelmina", "Berg", "Cheney", "Achem", "Boulos", "Hansen", "Futton"]
TITLES = ("Mr.", "Mrs.", "Miss.", "Master.", "Rev.", "Dr.", "Col.")


def titanic(rows: int, seed: int) -> MessyTable:
    """Names with titles, tickets, cabins of which most are missing. There is no column that tells women from men:
    only the title does, so names must be read.
    """
    rng = np.random.default_rng(seed)
    pclass = rng.choice([1, 2, 3], rows, p=[0.24, 0.21, 0.55])
    titles = drawn(rng, TITLES, rows, [0.57, 0.14, 0.2, 0.05, 0.015, 0.015, 0.01])
    woman = np.isin(titles, ["Mrs.", "Miss."])
    boy = np.isin(titles, ["Master."])
    age = np.where(boy, rng.uniform(0.4, 13, rows), np.clip(rng.normal(31, 12, rows), 14, 80))
    fare = np.round(np.exp(rng.normal(4.9 - 0.75 * pclass, 0.5)), 4)
    relatives = rng.poisson(0.5, (2, rows))
    survived = happens(
        rng, -2.2 + 3.6 * woman + 2.4 * boy + 1.0 * (pclass == 1) - 0.8 * (pclass == 3) - 0.01 * (age - 30)
    )
    no_age, no_cabin = rng.random(rows) < 0.2, rng.random(rows) < np.where(pclass == 1, 0.2, 0.94)
    deck = rng.choice(list("ABCDE"), rows)
    embarked = gapped(drawn(rng, ["S", "C", "Q"], rows, [0.72, 0.19, 0.09]), rng.random(rows) < 0.003, "")
    ages = [f"{years:.0f}" if years >= 1 else f"{years:.2f}" for years in age]
    text = {
        "PassengerId": [str(number) for number in range(1, rows + 1)],
        "Survived": [str(int(lives)) for lives in survived],
        "Pclass": [str(number) for number in pclass],
        "Name": [_name(rng, title) for title in titles],
        "Age": gapped(ages, no_age, ""),
        "SibSp": [str(n) for n in relatives[0]],
        "Parch": [str(n) for n in relatives[1]],
        "Ticket": drawn(rng, [_ticket(rng) for _ in range(rows)], rows),
        "Fare": [f"{price:g}" for price in fare],
        "Cabin": gapped([_cabin(rng, letter) for letter in deck], no_cabin, ""),
        "Embarked": embarked,
    }
    values = {
        "Pclass": pclass,
        "title": titles,
        "Age": with_gaps([float(years) for years in ages], no_age),
        "Fare": fare,
        "SibSp": relatives[0],
        "Parch": relatives[1],
        "deck": with_gaps(deck, no_cabin),
        "Embarked": embarked,
    }
    return MessyTable("Survived", text, values, survived)


def _name(rng: np.random.Generator, title: str) -> str:
    surname, man, woman = (rng.choice(names) for names in (SURNAMES, MEN, WOMEN))
    surname = f"{surname}-{rng.choice(SURNAMES)}" if rng.random() < 0.1 else surname
    if title == "Mrs.":
        return f"{surname}, Mrs. {man} {rng.choice(MEN)} ({woman} {rng.choice(MAIDENS)})"
    if title == "Miss.":
        return f"{surname}, Miss. {woman} {rng.choice(WOMEN)}" + (' "Nora"' if rng.random() < 0.05 else "")
    return f"{surname}, {title} {man}" + (f" {rng.choice(MEN)}" if rng.random() < 0.7 else "")


def _ticket(rng: np.random.Generator) -> str:
    number = rng.integers(2_000, 400_000)
    prefixes = ("", "", "", "A/5 ", "PC ", "STON/O2. ", "C.A. ", "SOTON/OQ ")
    return f"{rng.choice(prefixes)}{number}" if rng.random() > 0.005 else "LINE"


def _cabin(rng: np.random.Generator, deck: str) -> str:
    return " ".join(f"{deck}{number}" for number in rng.integers(2, 130, 1 + (rng.random() < 0.15)))
