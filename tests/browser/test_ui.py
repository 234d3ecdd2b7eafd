"""The tracking UI in a real browser: what a person sees of a retrain.

Screenshots go into the folder that VARJEPA_SCREENSHOTS names.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.flows.conftest import person_table, write_job
from tests.forked import Start
from tests.store_servers import free_port
from tests.waiting import eventually
from varjepa.tasks.tracking import links

EPOCHS = 4
PATIENCE = 60_000  # milliseconds; a page of the UI takes seconds on a busy machine


@pytest.fixture(scope="module")
def ui(browser, forks, migrated, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """Two versions of a model, and `varjepa ui` over them; all by processes of the command line."""
    home = tmp_path_factory.mktemp("ui")
    small = {"training": {"max_epochs": EPOCHS}, "probe": {"head": "linear"}}
    job = write_job(home, person_table(300), data={"label": "rich"}, **small)
    (home / "mlruns").mkdir()
    (home / "mlruns" / "mlflow.db").write_bytes(migrated.read_bytes())
    runs, unrecorded = [], {"PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}  # by Prefect, whose pages are not looked at
    for change in ("training.seed=1", "generator.n_layers=0"):  # the first is looked at most
        words = ["retrain", str(job), "--set", change, "--json"]
        done = forks.start(Start(words, str(home), unrecorded)).said()
        assert done.code == 0, done.err
        runs.append(json.loads(done.out.splitlines()[-1]))
    port = free_port()
    server = forks.start(Start(["ui", "--no-browser", "--port", str(port)], str(home)))

    def first_line() -> str:
        assert server.poll() is None, server.said().err
        return server.so_far().partition("\n")[0]

    try:
        line = eventually(first_line, "a link")
        assert f"http://127.0.0.1:{port}" in line, line
        yield SimpleNamespace(base=f"http://127.0.0.1:{port}", link=line.split()[-1], runs=runs)
    finally:
        server.send(signal.SIGTERM)
        server.wait(60)


@pytest.fixture
def page(browser, request, tmp_path: Path) -> Iterator[Any]:
    """A page whose every request stays on this machine; photographed at the end of the test."""
    context = browser.new_context(viewport={"width": 1500, "height": 1100})
    shown, asked = context.new_page(), set()
    shown.set_default_timeout(PATIENCE)
    shown.on("request", lambda one: asked.add(urlsplit(one.url).hostname))
    yield shown
    folder = Path(os.environ.get("VARJEPA_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    shown.screenshot(path=folder / f"{request.node.name.removeprefix('test_')}.png")
    context.close()
    assert asked <= {"127.0.0.1", None}, asked  # None: data inside the page


def run_page(ui: SimpleNamespace, number: int, tab: str = "") -> str:
    experiment = urlsplit(ui.link).fragment.split("/")[2].partition("?")[0]
    place, _, view = links.run_page(ui.base, experiment, ui.runs[number]["run_id"]).partition("?")
    return f"{place}{tab}?{view}"


def open_artifact(page, ui: SimpleNamespace, *names: str) -> None:
    page.goto(run_page(ui, 0, "/artifacts"))
    for name in names:
        page.get_by_text(name, exact=True).first.click()


def test_the_link_shows_the_runs(page, ui) -> None:
    page.goto(ui.link)
    page.get_by_text("2 matching runs").wait_for()
    page.get_by_role("link", name="retrain people").nth(1).wait_for()
    assert page.get_by_role("link", name="retrain people").count() == 2


@pytest.mark.parametrize("kind", ["experiment", "run", "version"])
def test_links_open_the_view_of_training(page, ui, kind: str) -> None:
    addresses = {"experiment": ui.link, "run": run_page(ui, 0), "version": links.version_page(ui.base, "people", 1)}
    page.goto(addresses[kind])
    page.get_by_role("link", name="Model registry").first.wait_for()  # is not among the links of the view for GenAI
    assert page.get_by_text("Judges", exact=True).count() == 0


def test_the_run_tells_its_results(page, ui) -> None:
    page.goto(run_page(ui, 0))
    accuracy = ui.runs[0]["metrics"]["probe/accuracy"]
    page.get_by_text(f"accuracy {accuracy:.4f}").first.wait_for()  # the card in brief
    page.get_by_text("Finished", exact=True).wait_for()
    page.get_by_placeholder("Search metrics").fill("probe/accuracy")
    page.get_by_role("link", name="probe/accuracy", exact=True).wait_for()
    assert page.get_by_text(str(accuracy)[:8]).count()


def test_the_elbo_has_curves(page, ui) -> None:
    page.goto(run_page(ui, 0, "/model-metrics"))
    page.get_by_placeholder("Search metric charts").fill("/elbo$")
    for curve in ("(train/elbo)", "(validation/elbo)"):
        page.get_by_text(curve).wait_for()
    charts = page.locator(".js-plotly-plot")
    charts.nth(1).locator(".scatterlayer path.js-line").first.wait_for()
    assert charts.count() == 2
    for chart in charts.all():
        assert chart.locator(".scatterlayer .points path").count() == EPOCHS
        assert chart.locator(".scatterlayer path.js-line").first.get_attribute("d").count("L") == EPOCHS - 1


def test_the_first_charts_are_those_of_the_elbo(page, ui) -> None:
    page.goto(run_page(ui, 0, "/model-metrics"))
    lines = page.locator(".js-plotly-plot .scatterlayer path.js-line")
    lines.nth(1).wait_for()
    assert lines.first.get_attribute("d").count("L") == EPOCHS - 1
    shown = page.locator("body").inner_text()
    places = [shown.index(name) for name in ("calibration", "ece", "curve_train", "curve_validation")]
    assert places == sorted(places)
    bars = page.locator(".js-plotly-plot").count() - lines.count()
    assert bars <= 10  # what stands before and beside the curves on the first screens


def test_the_report_opens_from_the_artifacts(page, ui) -> None:
    open_artifact(page, ui, "0_report.html")
    report = page.frame_locator("iframe").first
    report.get_by_role("heading", name="Is it good?").wait_for()
    assert report.get_by_text("The predictions have accuracy").count() == 1
    assert report.locator("figure img").count() >= 6
    for image in report.locator("figure img").all():
        assert image.evaluate("image => image.naturalWidth") > 300


def test_the_figures_are_there(page, ui) -> None:
    open_artifact(page, ui, "figures", "elbo_curves.png")
    image = page.locator("img[src*='elbo_curves'], img[src^='blob:']").first
    image.wait_for()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 500


def test_the_model_card_can_be_read(page, ui) -> None:
    open_artifact(page, ui, "model_card.html")
    card = page.frame_locator("iframe").first
    card.get_by_role("heading", name="Lineage").wait_for()
    assert card.get_by_text(ui.runs[0]["data"]["fingerprint"]).count() == 1
    assert card.get_by_text("none: people had no champion when this one was made").count() == 1
    assert card.get_by_role("heading", name="Limits").count() == 1


def test_the_registry_shows_aliases_and_what_versions_are_worth(page, ui) -> None:
    page.goto(f"{ui.base}/#/models/people")
    champion = 2 if ui.runs[1]["promoted"] else 1
    for alias, number in (("champion", champion), ("challenger", 2)):
        row = page.get_by_role("row").filter(has_text=f"@ {alias}")
        row.first.wait_for()
        assert row.count() == 1
        assert row.get_by_text(f"Version {number}", exact=True).count() == 1
    for number, run in enumerate(ui.runs, start=1):
        # What the gate says of a version names others, too.
        version = page.get_by_text(f"Version {number}", exact=True)
        worth = re.compile(rf"^accuracy {run['metrics']['head/accuracy']:.4f} \(")
        assert page.get_by_role("row").filter(has=version).get_by_text(worth).count() == 1


def test_a_version_has_its_card(page, ui) -> None:
    page.goto(links.version_page(ui.base, "people", 2))
    page.get_by_role("heading", name="Lineage").wait_for()
    assert page.get_by_text(f"version 1, run {ui.runs[0]['run_id']}").count() == 1
    assert page.get_by_role("heading", name="How sure it is").count() == 1
    page.get_by_text("challenger").first.wait_for()
