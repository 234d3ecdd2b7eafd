"""Customers of a telephone company who may leave it."""

import numpy as np

from benchmarks.messy_tables.written import MessyTable, drawn, happens

SERVICES = ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies")


def telco(rows: int, seed: int) -> MessyTable:
    """Customer numbers, Yes and No, a blank where a customer has paid nothing yet."""
    rng = np.random.default_rng(seed)
    tenure = np.where(rng.random(rows) < 0.01, 0, rng.integers(1, 73, rows))
    contract = drawn(rng, ["Month-to-month", "One year", "Two year"], rows, [0.55, 0.21, 0.24])
    internet = drawn(rng, ["DSL", "Fiber optic", "No"], rows, [0.34, 0.44, 0.22])
    extra = {
        name: ["No internet service" if net == "No" else drawn(rng, ["Yes", "No"], 1)[0] for net in internet]
        for name in SERVICES
    }
    taken = sum((np.array(cells) == "Yes").astype(int) for cells in extra.values())
    price = {"DSL": 45, "Fiber optic": 70, "No": 20}
    monthly = np.round((np.array([price[net] for net in internet]) + 5 * taken + rng.normal(0, 2, rows)) * 20) / 20
    total = np.round(monthly * tenure * rng.normal(1, 0.02, rows), 2)
    paid = drawn(
        rng, ["Electronic check", "Mailed check", "Bank transfer (automatic)", "Credit card (automatic)"], rows
    )
    score = (
        -0.6
        + 1.2 * (np.array(contract) == "Month-to-month")
        - 1.5 * (np.array(contract) == "Two year")
        - tenure / 30
        + 1.1 * (np.array(internet) == "Fiber optic")
        + 0.6 * (np.array(paid) == "Electronic check")
        - 0.4 * (np.array(extra["TechSupport"]) == "Yes")
    )
    churn = happens(rng, 1.5 * score)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    ids = [f"{rng.integers(10_000):04}-{''.join(rng.choice(letters, 5))}" for _ in range(rows)]
    yes = {
        name: drawn(rng, ["Yes", "No"], rows) for name in ("Partner", "Dependents", "PhoneService", "PaperlessBilling")
    }
    lines = ["No phone service" if has == "No" else drawn(rng, ["Yes", "No"], 1)[0] for has in yes["PhoneService"]]
    senior = drawn(rng, ["0", "1"], rows, [0.84, 0.16])
    text = {
        "customerID": ids,
        "gender": drawn(rng, ["Female", "Male"], rows),
        "SeniorCitizen": senior,
        "Partner": yes["Partner"],
        "Dependents": yes["Dependents"],
        "tenure": [str(n) for n in tenure],
        "PhoneService": yes["PhoneService"],
        "MultipleLines": lines,
        "InternetService": internet,
        **extra,
        "Contract": contract,
        "PaperlessBilling": yes["PaperlessBilling"],
        "PaymentMethod": paid,
        "MonthlyCharges": [f"{number:g}" for number in monthly],
        "TotalCharges": [" " if months == 0 else f"{number:g}" for months, number in zip(tenure, total, strict=True)],
        "Churn": ["Yes" if gone else "No" for gone in churn],
    }
    numbers = {
        "tenure": tenure,
        "MonthlyCharges": monthly,
        "TotalCharges": [None if months == 0 else float(number) for months, number in zip(tenure, total, strict=True)],
    }
    words = {name: cells for name, cells in text.items() if name not in (*numbers, "customerID", "Churn")}
    return MessyTable("Churn", text, words | numbers, churn)
