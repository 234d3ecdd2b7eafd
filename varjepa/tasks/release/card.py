"""The model card: one page per version, written from recorded facts only."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from varjepa import __version__
from varjepa.amounts import counted, figure, share
from varjepa.config import RetrainConfig
from varjepa.data.read.contract import Contract
from varjepa.data.read.left_out import by_reason
from varjepa.errors import listed
from varjepa.evaluation.bootstrap import Interval
from varjepa.tasks.contract.run import Validation
from varjepa.tasks.release.predecessor import Predecessor
from varjepa.tasks.release.verdict import verdicts
from varjepa.tasks.reports.meanings import PICTURES, meaning
from varjepa.tasks.reports.page import Picture, render
from varjepa.tasks.retrain.few_labels import TEST_ROWS, TRAIN_ROWS
from varjepa.tasks.retrain.ingest import Snapshot
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.visible import markdown_text, shortened

FEW_LABELS = "few_labels"
"""Not a group of metrics: its figures are those of `CardFacts.few_labels`."""

GROUPS = {
    "head": "The head that ships",
    "probe": "Linear probe on the frozen embedding",
    "raw": "Linear model of raw columns",
    "boosted": "Boosted trees on raw columns",
    FEW_LABELS: "Few labels: the embedding beside raw columns",
    "selective_shipped": "Selective prediction by the uncertainty that ships",
    "selective": "Selective prediction by latent uncertainty",
    "selective_msp": "Selective prediction by the head's maximum probability",
    "ambiguity": "Uncertainty against the known ambiguity",
    "certificate": "Certificate: accuracy of accepted rows",
    "interval": "Intervals of the label",
    "set": "Prediction sets",
    "set_halves": "Prediction sets of the head and of boosted trees on raw columns, on random halves of the test rows",
    "calibration": "Calibration",
    "generator": "Generator (nats per hidden cell of validation rows)",
    "imputation": "Imputation of hidden cells (errors of numbers as shares of the baselines' errors)",
    "samples": "Samples (AUC of a classifier of samples and test rows; 0.5 is best)",
    "anomaly": "Detection of rows with one corrupted cell",
    "elbo": "ELBO and its terms (val: on validation rows, at the selected epoch)",
    "prediction": "Squared error of the predicted latents (val: on validation rows, at the selected epoch)",
    "latent": "Latents",
}

PARTS = ("train", "validation", "calibration", "test")

COUNTS = ("certificate/rows", "latent/active_units")
"""Figures that are whole numbers of things."""

BRIEF = ("head", "probe", "raw", "boosted", "selective_shipped", "certificate", "calibration")
"""Groups of the brief card in the registry."""

BESIDES = ("prediction sets", "certificates by class", "unseen classes")
"""Further decisions about classes that a card shows."""

REST = "All figures are in model_card.html among the run's artifacts."
"""Last line of a brief card."""

LONGEST, LONGEST_VALUE = 4000, 250
"""Characters of a brief card, and of a value in it. The registry keeps 5000, and the gate adds its verdict."""

HEADLINES = {"accuracy": "accuracy", "r2": "R2"}
"""Metrics of the head in the first line of a card."""

MEASURES = {
    "max_probability": "1 minus the calibrated probability of the predicted class",
    "entropy": "entropy of the calibrated probabilities",
    "ensemble": "1 minus the largest mean probability of several heads",
    "second_opinion": "1 minus the probability that another head gives the predicted class",
    "error_model": "probability of an error, learned from the other measures",
    "propagated": "entropy of the mean probability over samples of the row's latents",
    "propagated_aleatoric": "the part of that entropy which every sample of the latents has",
    "propagated_epistemic": "the part of that entropy in which samples of the latents differ",
    "mask_mean": "1 minus the largest mean probability over random halves of the features",
    "mask_disagreement": "difference between predictions from random halves of the features",
    "weighted_scale": "probability of an error, learned from the scales of the row's latents",
    "scale_mean": "mean scale of the row's latents",
    "scale_p90": "90th percentile of the scales of the row's latents",
    "surprise": "KL divergence of the target latents from their prediction by the context",
    "reconstruction": "minus the log-likelihood of the row's cells given its latents",
    "distance": "distance to the nearest training rows in the embedding",
}
"""Definition of a row's uncertainty, by the name of the measure."""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """The facts of a card."""

    config: RetrainConfig
    run_id: str
    commit: str | None
    snapshot: Snapshot
    contract: Contract
    validation: Validation
    prepared: Prepared
    pretrained: Pretrained
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    decisions: dict[str, str]
    before: Predecessor | None
    few_labels: dict[str, str] = field(default_factory=dict)
    version: dict[str, str] = field(default_factory=dict)
    figures: tuple[Path, ...] = ()
    """Folders of PNG files."""

    def handed_over(self, uri: str, reason: str) -> Self:
        """The facts of a version that is registered.

        Args:
            uri: of the version.
            reason: of the gate's decision.
        """
        return replace(self, version={"registered as": uri, "gate": reason})

    @property
    def head(self) -> str:
        """Name of the head that ships, such as "boosted on raw"; empty without a label."""
        return self.decisions.get("head", "").partition(": ")[0]

    @property
    def summary(self) -> str:
        """One line, shown in lists of versions."""
        parts, names = self.prepared.parts, [name for name in HEADLINES if f"head/{name}" in self.metrics]
        figures = [f"{HEADLINES[name]} {self.figure(f'head/{name}')}" for name in names]
        # Without a label the ELBO is the only figure that describes the model.
        if "elbo/test" in self.metrics and not figures:
            figures = [f"ELBO {self.figure('elbo/test')}"]
        return (
            f"{', '.join(figures) or 'no label'} on {self._test_rows()}; {self.config.model.kind} "
            f"trained on {counted(parts.get('train', 0), 'row')} of {self.snapshot.source}"
        )

    def _test_rows(self) -> str:
        """The rows that figures on the label rest on, and all test rows where some have no label."""
        rows, known = self.prepared.parts.get("test", 0), self.metrics.get(TEST_ROWS)
        if known is None or known >= rows:
            return counted(rows, "test row")
        return f"{counted(known, 'labelled test row')} of {rows:,}"

    def sections(self, groups: Collection[str] = tuple(GROUPS)) -> dict[str, dict[str, str]]:
        """Titles, each with names and values.

        Args:
            groups: of metrics.
        """
        sections = {
            "Lineage": self.version | self._lineage(),
            "Data": self._data(),
            "Contract": self._contract(),
            "How it was made": self._made(),
            "How sure it is": self._uncertainty(),
        }
        for key in groups:
            rows = {name.partition("/")[2]: self.figure(name) for name in self.metrics if name.split("/")[0] == key}
            rows = self.few_labels if key == FEW_LABELS else rows
            if rows:
                sections[GROUPS[key]] = rows
        return sections

    def figure(self, name: str) -> str:
        """A metric with its interval, if it has one."""
        interval = self.intervals.get(name)
        # Figures that do not vary with the rows, such as the width of equally wide intervals, need none.
        span = (
            f" ({figure(interval.low)} to {figure(interval.high)})" if interval and interval.low < interval.high else ""
        )
        value = self.metrics[name]
        return f"{figure(value) if name not in COUNTS else format(value, ',.0f')}{span}"

    def _lineage(self) -> dict[str, str]:
        before, name = self.before, self.config.registry.name
        champion, data = f"none: {name} had no champion when this one was made", ""
        if before is not None:
            champion = f"version {before.version}" + (f", run {before.run_id}" if before.run_id else "")
            if self.version.get("registered as", "").endswith(f"/{before.version}"):
                # An identical model keeps its version, which may be the champion.
                champion = "itself: the same model was already registered"
            same = before.fingerprint == self.snapshot.fingerprint
            data = "the same as for this version" if same else f"fingerprint {before.fingerprint or 'unknown'}"
        return {
            "run": self.run_id,
            "champion before it": champion,
            **({"that champion's data": data} if data else {}),
            "data fingerprint": self.snapshot.fingerprint,
            "commit": self.commit or "not under git",
            "varjepa": __version__,
        }

    def _data(self) -> dict[str, str]:
        from varjepa.data.fit.derived_columns import SHOWN_RARE

        prepared, leaks = self.prepared, self.prepared.leaks
        rare = {name: part for name, part in prepared.rare.items() if part > SHOWN_RARE}
        return {
            "source": self.snapshot.source,
            "rows": f"{self.snapshot.rows:,}, of which {self.validation.quarantined:,} in quarantine",
            "parts": ", ".join(f"{name} {prepared.parts[name]:,}" for name in PARTS if name in prepared.parts),
            "features": str(prepared.features),
            "left out": "; ".join(f"{', '.join(names)} ({why})" for why, names in by_reason(prepared.left_out).items())
            or "nothing",
            "joined": "; ".join(f"{name} ({counted(len(c), 'column')})" for name, c in prepared.joined.items())
            or "nothing",
            "rare categories": "; ".join(f"{name} ({share(part, 0)} of its values)" for name, part in rare.items())
            or "few",
            "label": self.config.data.label or "none",
            **self._labelled(),
            **({"possible leaks": f"{listed(list(leaks))}: each predicts the label alone"} if leaks else {}),
        }

    def _labelled(self) -> dict[str, str]:
        """How many rows have a label, unless all have one."""
        known = {part: self.metrics[name] for part, name in (("train", TRAIN_ROWS), ("test", TEST_ROWS))
                 if name in self.metrics}  # fmt: skip
        if all(rows >= self.prepared.parts.get(part, 0) for part, rows in known.items()):
            return {}
        return {"rows with a label": ", ".join(f"{part} {rows:,.0f}" for part, rows in known.items())}

    def _contract(self) -> dict[str, str]:
        contract, kinds = self.contract, Counter(column.kind for column in self.contract.columns.values())
        if self.config.contract.path is None:
            return {"file": f"none; basic rules checked: {self.validation.rules}"}
        shares, least = (
            f"{self.validation.quarantined:,} of {self.validation.rows:,}",
            counted(contract.min_rows, "row"),
        )
        return {
            "file": self.config.contract.path,
            "columns": ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none named",
            "other columns": "allowed" if contract.extra_columns == "allow" else "forbidden",
            "rules": f"{self.validation.rules} checked, all table rules hold; at least {least}",
            "rows in quarantine": f"{shares}, at most {share(contract.max_quarantined)} allowed",
        }

    def _made(self) -> dict[str, str]:
        epochs, best = len(self.pretrained.curves()), self.pretrained.best_epoch + 1
        model = self.config.model
        return {
            "model": model.kind,
            "sizes": f"{counted(model.n_layers, 'layer')} of width {model.d_hidden} (model.size: {model.size})",
            "epochs": f"{epochs}, epoch {best} selected (training.selection: {self.config.training.selection})",
            **self._head(),
            "seed": str(self.config.training.seed),
            "all settings": "config.json among the run's artifacts",
        }

    def _head(self) -> dict[str, str]:
        if "raw columns" not in self.decisions:
            return {}
        reason = self.decisions["head"].partition(": ")[2]
        return {"head": self.head, "why this head": reason, "against raw columns": self.decisions["raw columns"]}

    def _uncertainty(self) -> dict[str, str]:
        if "intervals" in self.decisions:
            words = "half the width of the row's interval; where all are equally wide, the predicted size of its error"
            shown = ("intervals", "certificate")
            return {"uncertainty": f"{words}; larger = less sure", **{name: self.decisions[name] for name in shown}}
        if "uncertainty" not in self.decisions:  # no classes, so no measure was chosen
            latent = "mean" if self.config.uncertainty.aggregate == "mean" else "90th percentile"
            words = f"{latent} of the scales of the row's latents; larger = less sure; not a probability of an error"
            return {"uncertainty": words if self.config.model.is_variational else "this kind of model has none"}
        measure, _, reason = self.decisions["uncertainty"].partition(": ")
        return {
            "uncertainty": f"{MEASURES[measure]} ({measure}); larger = less sure",
            "why this measure": reason,
            "certificate": self.decisions["certificate"],
            **{name: self.decisions[name] for name in BESIDES if name in self.decisions},
        }

    @property
    def verdicts(self) -> list[str]:
        """Sentences that say how good it is."""
        return verdicts(self.metrics, self.intervals, self.decisions.get("raw columns", ""), self.head)

    @property
    def pictures(self) -> list[tuple[str, str, Picture]]:
        """Title, sentence and figure of what was drawn, the most important one first."""
        files = {path.stem: path for folder in self.figures for path in sorted(folder.glob("*.png"))}
        shown = [(stem, *words) for stem, words in PICTURES.items() if stem in files]
        return [(title, sentence, Picture.of(files[stem])) for stem, title, sentence in shown]

    @property
    def limits(self) -> list[str]:
        """What a reader must know before use."""
        advice = (
            "Check their uncertainty and anomaly. Latent uncertainty is not a probability."
            if self.config.model.is_variational
            else "This kind of model has no latent uncertainty to show this."
        )
        learned = (
            "Statistics, vocabularies and weights come from training rows."
            if self.config.data.split.seen == "train"
            else "Statistics, vocabularies and weights come from all rows, also from test rows without their labels."
        )
        measured = f"{learned} Figures come from test rows, unless stated otherwise,"
        unusual = "Rows from other sources, unseen categories and values far outside the training range are embedded"
        limits = [f"{measured} and from the same source.", f"{unusual} like any other. {advice}"]
        if self.intervals:
            limits.append(
                "Intervals (95%) show how figures would vary with other test rows. They do not cover other seeds, "
                "other training rows or another split."
            )
        if "certificate/promised" in self.metrics:
            limits.append(
                "The certificate covers all accepted rows from the same source together. It makes no promise for a "
                "single class or group, and no longer holds when the data drifts."
            )
        return limits


def markdown_card(facts: CardFacts) -> str:
    """The complete card as Markdown."""
    return _markdown(facts, facts.sections())


def brief_card(facts: CardFacts) -> str:
    """The card as Markdown, short enough for the registry and the run page; lists show its first line."""
    # Long values (left-out columns, say) are cut first, then the last groups of metrics, which stand above the limits;
    # the whole card only if that is not enough.
    card = ""
    for groups in range(len(BRIEF), -1, -1):
        sections = {
            title: {name: shortened(value, LONGEST_VALUE) for name, value in rows.items()}
            for title, rows in facts.sections(BRIEF[:groups]).items()
        }
        card = _markdown(facts, sections, REST)
        if len(card) <= LONGEST:
            break
    return _cut(card)


def _cut(card: str) -> str:
    """The card within `LONGEST` characters: whole lines, and the last one, which says where the rest is.

    Examples:
        >>> len(_cut("a line, " * 1000)) <= LONGEST
        True
    """
    if len(card) <= LONGEST:
        return card
    lines = card[: LONGEST - len(REST) - 3].rpartition("\n")[0]
    return f"{lines}\n\n{REST}\n"


def _markdown(facts: CardFacts, sections: dict[str, dict[str, str]], end: str = "") -> str:
    lines = [markdown_text(facts.summary), "", *map(markdown_text, facts.verdicts), ""]
    for title, rows in sections.items():
        lines += [f"## {title}", "", "| | |", "| --- | --- |"]
        # The tracking UI puts no space between columns, so the name ends with two non-breaking spaces; and none between
        # a table and the next title, so a paragraph of one stands between them.
        cells = [(markdown_text(name), markdown_text(value)) for name, value in rows.items()]
        lines += [f"| {name}\u00a0\u00a0 | {value} |" for name, value in cells]
        lines += ["", "\u00a0", ""]
    return (
        "\n".join([*lines, "## Limits", "", *(f"- {markdown_text(limit)}" for limit in facts.limits), "", end]).rstrip()
        + "\n"
    )


def html_card(facts: CardFacts) -> str:
    """The card as one self-contained page."""
    groups = {title: group for group, title in GROUPS.items()}
    sections = [
        (title, [_row(name, value, meaning(f"{groups.get(title, title)}/{name}")) for name, value in rows.items()])
        for title, rows in facts.sections().items()
    ]
    return render(
        "card.html", name=facts.config.registry.name, summary=facts.summary, sections=sections, limits=facts.limits,
        verdicts=facts.verdicts, pictures=facts.pictures,
    )  # fmt: skip


def _row(name: str, value: str, words: str) -> tuple[str, ...]:
    """A line of a table. Text stands alone, so that it wraps; figures, which have a meaning beside them, do not."""
    return (name, value, words) if words else (name, value)
