"""The report of a run for people who decide: one page, in words, that needs neither a network nor scripts."""

from shlex import quote

from varjepa.amounts import counted, figure, share
from varjepa.data.read.left_out import MOST_NAMED, left_out_words
from varjepa.errors import listed
from varjepa.evaluation.gate.evidence import UNITS, Metric
from varjepa.tasks.registry.champion import CHAMPION
from varjepa.tasks.release.card import MEASURES, CardFacts
from varjepa.tasks.release.gate import Decision
from varjepa.tasks.release.verdict import BEYOND, CHANCE, SHARES, main_figure
from varjepa.tasks.reports.meanings import meaning
from varjepa.tasks.reports.page import render
from varjepa.tasks.tracking.headlines import headlines

REPORT = "0_report.html"
"""Name of the report among a run's artifacts; it sorts before all others."""

FEW_ROWS = 500
"""With fewer test rows, the report says that its figures are rough."""

FIRST = ("head", "raw", "probe", "selective_shipped", "interval", "calibration")
"""Groups of figures in the order in which a person asks for them; the objective and the latents come after them."""


def html_report(facts: CardFacts, decision: Decision) -> str:
    """The report.

    Args:
        facts: of the run.
        decision: of the gate.
    """
    name = facts.version.get("registered as", facts.config.registry.name)
    return render(
        "report.html", name=name, verdict=outcome(decision).capitalize(), reason=decision.reason,
        champion=CHAMPION in decision.aliases,
        trained=_trained(facts), good=facts.verdicts + _against_raw(facts),
        sure=_sure(facts), changed=_changed(facts), watch=_watch(facts), headlines=_headlines(facts),
        pictures=facts.pictures, limits=facts.limits,
    )  # fmt: skip


def outcome(decision: Decision) -> str:
    """What came of the gate, in a word or two."""
    if decision.promoted:
        return "promoted"
    if decision.event == "pending":
        return "waiting for a person"
    return "already the champion" if CHAMPION in decision.aliases else "not promoted"


def _trained(facts: CardFacts) -> list[str]:
    config, parts, label = facts.config, facts.prepared.parts, facts.config.data.label
    target = f'It predicts "{label}".' if label else "No label was given, so it predicts nothing."
    return [
        (
            f"{counted(facts.snapshot.rows, 'row')} of {facts.snapshot.source}: {parts.get('train', 0):,} for "
            f"training, {parts.get('test', 0):,} kept apart for the figures on this page."
        ),
        f"{counted(facts.prepared.features, 'feature')}. {target} The label was not used to learn the embedding.",
        f"Run {facts.run_id}, {config.model.kind}, {counted(len(facts.pretrained.curves()), 'epoch')} of training.",
    ]


def _against_raw(facts: CardFacts) -> list[str]:
    """What the paired test said, which is asked only where a common model is ahead."""
    words = facts.decisions.get("raw columns", "")
    return [f"Paired test: {words}."] if BEYOND in words or CHANCE in words else []


def _sure(facts: CardFacts) -> list[str]:
    """How sure the model is of a row, and how sure one may be of the figures."""
    metrics, sentences = facts.metrics, []
    measure, _, reason = facts.decisions.get("uncertainty", "").partition(": ")
    if measure in MEASURES:
        sentences.append(f"Each row comes with an uncertainty: {MEASURES[measure]}. It was chosen because {reason}.")
    name = "accuracy" if "head/accuracy" in metrics else None
    if name and metrics["head/accuracy"] == 1:
        sentences.append("No test row was predicted wrongly, so nothing shows how well the uncertainty finds errors.")
    elif name and "selective_shipped/accuracy_90" in metrics:
        sentences.append(
            f"If the least sure 10% of rows go to a person, accuracy on the others is "
            f"{figure(metrics['selective_shipped/accuracy_90'])} instead of {figure(metrics['head/accuracy'])}."
        )
    if "calibration/ece" in metrics:
        sentences.append(
            f"Stated probabilities differ from observed frequencies by {figure(metrics['calibration/ece'])} on average."
        )
    if {"interval/coverage", "interval/promised"} <= set(metrics):
        sentences.append(
            f"Intervals are to hold {share(metrics['interval/promised'], 0)} of the labels; on test rows they held "
            f"{share(metrics['interval/coverage'])}."
        )
    if "certificate" in facts.decisions:
        sentences.append(f"Certificate: {facts.decisions['certificate']}.")
    if facts.intervals:
        sentences.append(
            "The table below has 95% intervals in brackets: what other test rows of the same source would give."
        )
    return sentences or ["This kind of model says nothing about how sure it is."]


def _changed(facts: CardFacts) -> list[str]:
    """What is new beside the champion before it."""
    before, metrics = facts.before, facts.metrics
    if before is None:
        return [f"{facts.config.registry.name} had no champion when this one was made, so there is nothing to compare."]
    same = before.fingerprint == facts.snapshot.fingerprint
    changed = [f"The champion was version {before.version}, made from {'the same' if same else 'other'} data."]
    if {"gate/metric", "gate/champion_metric"} <= set(metrics):
        changed.append(
            f"On the same rows, this version has {_compared(facts)}{figure(metrics['gate/metric'])} and the champion "
            f"{figure(metrics['gate/champion_metric'])}" + _span(metrics) + "."
        )
    return changed


def _compared(facts: CardFacts) -> str:
    """What the gate compared, before its figure: what the settings ask for, if it fits the label, or what does."""
    asked, name = facts.config.gate.metric, main_figure(facts.metrics)
    fitting: dict[str | None, tuple[Metric, ...]] = {"accuracy": ("accuracy", "log_loss"), "r2": ("squared_error",)}
    known = fitting.get(name, ("elbo",))
    chosen = next((metric for metric in known if metric == asked), known[0])
    return f"{'an' if chosen in ('accuracy', 'elbo') else 'a'} {UNITS[chosen].word} of "


def _span(metrics: dict[str, float]) -> str:
    names = [f"gate/{name}" for name in ("difference", "low", "high")]
    if not set(names) <= set(metrics):
        return ""
    middle, low, high = (metrics[name] for name in names)
    return f": a difference of {figure(middle)} ({figure(low)} to {figure(high)})"


def _watch(facts: CardFacts) -> list[str]:
    """What may go wrong later, and what was odd about the data."""
    from varjepa.data.fit.derived_columns import SHOWN_RARE

    prepared, rows = facts.prepared, facts.prepared.parts.get("test", 0)
    odd = left_out_words(prepared.left_out)
    if prepared.leaks:
        who = "it" if len(prepared.leaks) == 1 else "each"
        odd.append(f"{listed(prepared.leaks)} may leak the label: {who} predicts it alone.")
    rare = [name for name, part in prepared.rare.items() if part > SHOWN_RARE]
    shares = {name: share(prepared.rare[name], 0) for name in rare[:MOST_NAMED]}
    odd += [f'"{name}": {part} of its values are rare and treated alike.' for name, part in shares.items()]
    if more := len(rare[MOST_NAMED:]):
        odd.append(f"{counted(more, 'further column')} with many rare values: the model card names them.")
    if facts.validation.quarantined:
        odd.append(
            f"{counted(facts.validation.quarantined, 'row')} broke the contract and went into quarantine (validation/)."
        )
    if rows < FEW_ROWS:
        odd.append(f"Only {counted(rows, 'test row')}: the figures on this page are rough.")
    if name := main_figure(facts.metrics):
        odd.append(f"Whether {SHARES[name]} holds up shows when labels of new rows are known: `varjepa evaluate`.")
    model = facts.version.get("registered as", "MODEL")
    return [*odd, f"Compare new rows with those of training before you trust them: `varjepa drift {quote(model)} NEW`."]


def _headlines(facts: CardFacts) -> list[tuple[str, str, str]]:
    """The figures with their meanings, those of the predictions before those of the training."""
    shown = [name for name in headlines(facts.metrics) if not name.startswith("gate")]
    shown += [name for name in ("head/rmse",) if name in facts.metrics]  # R2 says little to whom the label's unit does
    groups = {group: rank for rank, group in enumerate(FIRST)}
    shown.sort(key=lambda name: groups.get(name.partition("/")[0], len(FIRST)))
    return [(name, facts.figure(name), meaning(name)) for name in shown]
