"""Report of a simulation study: table, figures and one self-contained page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from varjepa import plots
from varjepa.config import StudyConfig
from varjepa.evaluation.benchmark.published import Comparison, compare
from varjepa.evaluation.latents.aggregate import sampling_floors
from varjepa.study.pairs import D_S
from varjepa.study.variants import VARIANTS
from varjepa.tasks.reports.page import Picture, render, write_csv
from varjepa.tasks.reports.provenance import provenance
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import step_folder
from varjepa.tasks.studies.simulation import JEPA, Simulated

HEADER = ("variant", "latent", "diagnostic", "published", "ours", "sd", "runs", "difference_in_se")


@dataclass(frozen=True)
class StudyReport:
    """Files of the report.

    Attributes:
        folder: holds all of them.
        table: CSV, one line per variant, latent and diagnostic.
        page: HTML.
        comparisons: the table.
    """

    folder: Path
    table: Path
    page: Path
    comparisons: list[Comparison]


@task(name="report study")
def report_study(config: StudyConfig, simulated: Sequence[Simulated]) -> StudyReport:
    """Compares with the published table, draws the figures and writes the page."""
    # Written anew at every call, which takes seconds; only its place depends on the settings.
    folder = step_folder("study-report", config.model_dump(mode="json"), code=__name__)
    folder.mkdir(parents=True, exist_ok=True)
    # The published table has the variants only, not JEPA.
    table = compare({model.name: model.final() for model in simulated if model.name in VARIANTS})
    write_csv(folder / "simulation.csv", HEADER, map(_cells, table))
    figures = _figures(config, simulated)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png")
    page = folder / "report.html"
    write_text(page, simulation_page(config, simulated, table, [folder / f"{name}.png" for name in figures]))
    return StudyReport(folder, folder / "simulation.csv", page, table)


def _cells(cell: Comparison) -> list[str]:
    """The cells of `HEADER`; empty where there is no number."""
    numbers = [f"{cell.published:.4g}", f"{cell.ours:.4g}"]
    numbers += ["" if cell.sd is None else f"{cell.sd:.2g}", str(cell.runs)]
    numbers.append("" if cell.difference is None else f"{cell.difference:+.1f}")
    return [cell.variant, cell.latent, cell.diagnostic, *numbers]


def _figures(config: StudyConfig, simulated: Sequence[Simulated]) -> dict[str, Figure]:
    # Values that the diagnostics show on as many draws from N(0, I): a perfect aggregate posterior does not beat them.
    floors = sampling_floors(config.test_rows, D_S)
    curves = {model.name: model.curves() for model in simulated}
    variants = {name: metrics for name, metrics in curves.items() if name in VARIANTS}
    rankme = {name: metrics["s_x/rankme"] for name, metrics in curves.items() if name in (*JEPA, "A")}
    rankme = {f"Var-JEPA {name}" if name == "A" else name: values for name, values in rankme.items()}
    figures = {
        f"diagnostics_{latent}": plots.study_curves(variants, latent, floors, config.epochs)
        for latent in ("s_x", "s_y")
    }
    return figures | {"collapse": plots.collapse_plot(rankme, "RankMe of s_x; 1 is collapsed")}


def simulation_page(
    config: StudyConfig, simulated: Sequence[Simulated], table: list[Comparison], figures: list[Path]
) -> str:
    """The report as one self-contained page.

    Args:
        config: of the study.
        simulated: all models.
        table: our figures and the published ones.
        figures: PNG files.
    """
    sizes = (
        f"{config.runs} runs per model, {config.rows:,} training and {config.test_rows:,} test pairs per run, "
        f"{config.epochs} epochs, seeds from {config.seed}."
    )
    floors = sampling_floors(config.test_rows, D_S)
    return render(
        "simulation.html", sizes=sizes, header=HEADER, comparisons=[_cells(cell) for cell in table],
        floors=[(name, f"{value:.3g}") for name, value in floors.items()],
        collapse=[_collapse(model) for model in simulated], figures=[Picture.of(figure) for figure in figures],
        made=provenance().items(),
    )  # fmt: skip


def _collapse(model: Simulated) -> list[str]:
    """Whether a model's s_x has collapsed: means over runs after the last epoch."""
    final = model.final()
    means = (
        sum(final[f"s_x/{name}"]) / len(final["s_x/rankme"]) for name in ("rankme", "active_units", "probe_accuracy")
    )
    return [model.name, *(f"{value:.3f}" for value in means)]
