"""The model card: one page per version, written from the run's facts alone."""

from dataclasses import dataclass
from html import escape

from tasks.contract.run import Validation
from tasks.ingest import Snapshot
from tasks.page import html_page, html_table
from tasks.prepare import Prepared
from tasks.pretrain import Pretrained
from varjepa import __version__
from varjepa.config import RetrainConfig

GROUPS = {
    "probe": "Linear probe on the frozen embedding",
    "raw": "The same probe on raw features",
    "selective_shipped": "Selective prediction by the uncertainty that ships",
    "selective": "Selective prediction by latent uncertainty",
    "selective_msp": "Selective prediction by the probe's maximum probability",
    "ambiguity": "Uncertainty against the known ambiguity",
    "certificate": "Certificate: accuracy of accepted rows",
    "calibration": "Calibration",
    "generator": "Generator (nats per hidden cell)",
    "imputation": "Imputation of hidden cells (errors of numbers as shares of the baselines' errors)",
    "samples": "Samples (AUC of telling them from test rows; 0.5 is best)",
    "anomaly": "Rows with one corrupted cell against the same rows",
    "elbo": "ELBO and its terms",
    "prediction": "Squared error of the predicted latents",
    "latent": "Latents",
}


@dataclass(frozen=True)
class Facts:
    """What a card is made of."""

    config: RetrainConfig
    run_id: str
    commit: str | None
    snapshot: Snapshot
    validation: Validation
    prepared: Prepared
    pretrained: Pretrained
    metrics: dict[str, float]
    said: dict[str, str]

    def sections(self) -> dict[str, dict[str, str]]:
        """Titles, and names with values below each."""
        data = {
            "source": self.snapshot.source,
            "fingerprint": self.snapshot.fingerprint,
            "rows": f"{self.snapshot.rows:,}, of which {self.validation.quarantined:,} in quarantine",
            "parts": ", ".join(f"{name} {rows:,}" for name, rows in self.prepared.parts.items()),
            "features": str(self.prepared.features),
            "left out": "; ".join(f"{name} ({why})" for name, why in self.prepared.left_out.items()) or "nothing",
            "joined": "; ".join(f"{name} ({len(c)} columns)" for name, c in self.prepared.joined.items()) or "nothing",
            "label": self.config.data.label or "none",
            "contract": f"{self.config.contract.path or 'none'}, {self.validation.rules} rules checked",
        }
        made = {
            "model": self.config.model.kind,
            "epochs": f"{len(self.pretrained.curves())}, epoch {self.pretrained.best_epoch + 1} selected",
            "seed": str(self.config.training.seed),
            "run": self.run_id,
            "commit": self.commit or "not under git",
            "varjepa": __version__,
        }
        groups = {
            title: {
                name.partition("/")[2]: f"{value:.4f}"
                for name, value in self.metrics.items()
                if name.split("/")[0] == key
            }
            for key, title in GROUPS.items()
        }
        how_sure = {"How sure it is": self.said} if self.said else {}
        return (
            {"Data": data, "How it was made": made} | how_sure | {title: rows for title, rows in groups.items() if rows}
        )

    @property
    def limits(self) -> str:
        """What a reader must know before use."""
        doubt = (
            "look at their uncertainty and anomaly. Latent uncertainty is no probability, and a certificate speaks "
            "of rows from the same source."
            if self.config.model.kind == "var_t_jepa"
            else "this kind of model has no latent uncertainty to tell."
        )
        return (
            "Statistics, vocabularies and weights come from the training rows; figures are measured on test rows of "
            "the same source. Rows from elsewhere, categories never seen and values far outside the training range are "
            f"embedded all the same: {doubt}"
        )


def markdown_card(facts: Facts) -> str:
    """The card as Markdown, for the registry and the run page."""
    lines = [f"# {facts.config.registry.name}", ""]
    for title, rows in facts.sections().items():
        lines += [f"## {title}", "", "| | |", "| --- | --- |"]
        lines += [f"| {name} | {value.replace('|', '/')} |" for name, value in rows.items()]
        lines.append("")
    return "\n".join([*lines, "## Limits", "", facts.limits, ""])


def html_card(facts: Facts) -> str:
    """The card as one self-contained page."""
    name = facts.config.registry.name
    body = [f"<h1>{escape(name)}</h1>"]
    for title, rows in facts.sections().items():
        body.append(f"<h2>{escape(title)}</h2>{html_table(rows.items())}")
    body.append(f"<h2>Limits</h2><p>{escape(facts.limits)}</p>")
    return html_page(f"Model card: {name}", body)
