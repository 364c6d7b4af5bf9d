"""The command line: one command, one job, one recipe, one report.

Commands import what they need when they run, so that ``sensorssm --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sensorssm import __version__
from sensorssm.errors import SensorSSMError

if TYPE_CHECKING:
    from sensorssm_pipelines.progress import Progress
    from sensorssm_pipelines.recipes import Recipe
    from sensorssm_pipelines.store import Store

_BAD_INPUT = 2  # the exit status of a bad argument or bad input, as click's own
_STOPPED = 130  # by Ctrl-C, as a shell says it
DEMO = Path("runs/demo")

_RECIPE = click.argument("recipe", type=click.Path(path_type=Path))
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder that ${SENSORSSM_DATA} stands for in the recipe; else the environment variable.",
)
_STORE = click.option(
    "--store", type=click.Path(path_type=Path), help="Folder for results instead of the recipe's."
)


class _OneLine(click.Group):
    """A group that answers bad input with one line and exit status 2: no usage, no traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            sys.exit(super().main(*args, **{**kwargs, "standalone_mode": False}) or 0)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
        except (click.ClickException, SensorSSMError, OSError) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else str(error)
            click.echo(f"sensorssm: {' '.join(text.split())}", err=True)
        except click.Abort:
            click.echo("sensorssm: stopped", err=True)
            sys.exit(_STOPPED)
        sys.exit(_BAD_INPUT)


@click.group(
    cls=_OneLine,
    epilog="Example: sensorssm demo",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="sensorssm")
def main() -> None:
    """Plant sensor readings in; forecasts, alarms and a dashboard out."""


@main.command(epilog="Example: sensorssm demo")
@click.option("--store", type=click.Path(path_type=Path), default=DEMO, help="Folder for results.")
@click.option("--days", type=click.FloatRange(min=7), default=56, help="Days to simulate.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the plant.")
def demo(store: Path, days: float, seed: int) -> None:
    """Simulate a plant, and take its raw readings all the way to alarms and a report."""
    from sensorssm_pipelines.jobs import demo as job

    _, text = job.run(store, _progress(), days=days, seed=seed)
    click.echo(f"\n{text}")
    place = "" if store == DEMO else f" --store {store}"
    click.echo(f"Next: sensorssm dashboard{place}")


@main.command(epilog="Example: sensorssm run pipelines/recipes/ett.toml --data ../data")
@_RECIPE
@_DATA
@_STORE
def run(recipe: Path, data: Path | None, store: Path | None) -> None:
    """Do everything RECIPE asks for: ingest, fit, backtest, score online, report.

    The results in its folder are made anew, and replaced once all of them are there.
    """
    from sensorssm_pipelines.jobs import run as job

    settings, results = _open(recipe, data, store)
    _, text = job.run(settings, results, _progress())
    click.echo(f"\n{text}\nNext: sensorssm dashboard --store {results.path}")


@main.command(epilog="Example: sensorssm ingest pipelines/recipes/skab.toml --data ../data")
@_RECIPE
@_DATA
@_STORE
def ingest(recipe: Path, data: Path | None, store: Path | None) -> None:
    """Read RECIPE's raw files onto a clean grid, with an account of every reading.

    Results of an earlier grid in its folder are dropped once the files are read.
    """
    from sensorssm_pipelines.jobs import ingest as job
    from sensorssm_pipelines.jobs.records import recorded
    from sensorssm_pipelines.jobs.report import ingest_text

    settings, results = _open(recipe, data, store)
    with recorded(settings, results, "ingest") as record:
        report = job.run(settings, results, _progress())
        record.account, record.report["ingest"] = report.account, report
    click.echo(ingest_text(report))


@main.command(epilog="Example: sensorssm fit pipelines/recipes/skab.toml --data ../data")
@_RECIPE
@_DATA
@_STORE
def fit(recipe: Path, data: Path | None, store: Path | None) -> None:
    """Fit RECIPE's models on what was ingested; they are saved in the store's models/."""
    from sensorssm_pipelines.jobs import fit as job
    from sensorssm_pipelines.jobs.records import recorded
    from sensorssm_pipelines.jobs.report import fit_text

    settings, results = _open(recipe, data, store)
    with recorded(settings, results, "fit") as record:
        report = record.report["fit"] = job.run(settings, results, _progress())
    click.echo(fit_text(report))


@main.command(epilog="Example: sensorssm backtest pipelines/recipes/ett.toml --data ../data")
@_RECIPE
@_DATA
@_STORE
@click.option("--models", help="Fit and compare these instead: ssm,dlinear,selective,lstm,...")
def backtest(recipe: Path, data: Path | None, store: Path | None, models: str | None) -> None:
    """Judge RECIPE's fitted forecaster on its test span, beside naive baselines.

    With --models, fit each of ssm, seasonal_naive, ewma, dlinear, selective, fixed, s4d, lstm
    and attention that is named, and tell what each costs too.
    """
    if models is not None:
        _compare(recipe, data, store, models)
        return
    from sensorssm_pipelines.jobs import backtest as job
    from sensorssm_pipelines.jobs.records import recorded
    from sensorssm_pipelines.jobs.report import backtest_text

    settings, results = _open(recipe, data, store)
    with recorded(settings, results, "backtest") as record:
        report = record.report["backtest"] = job.run(settings, results, _progress())
        if report is None:
            click.echo(f"{recipe} has no [forecast]: nothing to judge.")
            return
        job.record(report, results, record.run)
    click.echo(backtest_text(report))


def _compare(recipe: Path, data: Path | None, store: Path | None, models: str) -> None:
    from sensorssm_pipelines.jobs import compare as job
    from sensorssm_pipelines.jobs.records import recorded

    wanted = job.check_models(models)
    settings, results = _open(recipe, data, store)
    with recorded(settings, results, "backtest") as record:
        report = record.report["compare"] = job.run(settings, results, wanted, _progress())
        if report is None:
            click.echo(f"{recipe} has no [forecast]: nothing to judge.")
            return
        results.write_metrics(report.metric_rows(record.run))
        report.skill.write(results, record.run)
    click.echo(job.as_text(report))


@main.command(epilog="Example: sensorssm score pipelines/recipes/skab.toml --data ../data")
@_RECIPE
@_DATA
@_STORE
def score(recipe: Path, data: Path | None, store: Path | None) -> None:
    """Score what was ingested with RECIPE's fitted detector, and raise alarms.

    Earlier scores go, and alarms that nobody acknowledged, once the new ones are all there. What
    people said of alarms moves the threshold.
    """
    from sensorssm_pipelines.jobs import score as job
    from sensorssm_pipelines.jobs.records import recorded
    from sensorssm_pipelines.jobs.report import score_text

    settings, results = _open(recipe, data, store)
    with recorded(settings, results, "score") as record:
        report = record.report["score"] = job.run(settings, results, _progress())
    click.echo(score_text(report, results))


@main.command(epilog="Example: sensorssm dashboard --store runs/demo --port 8501")
@click.option("--store", type=click.Path(path_type=Path), default=DEMO, help="Folder of results.")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, help="Port on this machine.")
def dashboard(store: Path, port: int) -> None:
    """Open the dashboard on a folder of results."""
    from sensorssm_pipelines.store import Store

    if find_spec("streamlit") is None or find_spec("sensorssm_dashboard") is None:
        raise click.UsageError(
            "the dashboard is not installed. Install it with: pip install 'sensorssm[dashboard]'"
        )
    Store(store, read_only=True)
    click.echo(f"dashboard of {store} on http://localhost:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    words = _dashboard_command(store, port)
    os.execv(words[0], words)  # in this process's place: a signal meant for it reaches it


def _dashboard_command(store: Path, port: int) -> list[str]:
    """Return the command line that serves the dashboard, as the dashboard itself defines it."""
    from importlib import import_module

    # By name: the dashboard stands above the pipelines, and is an extra.
    return import_module("sensorssm_dashboard.launch").command(store, port)


def _open(recipe: Path, data: Path | None, store: Path | None) -> tuple[Recipe, Store]:
    from sensorssm_pipelines.recipes import load_recipe
    from sensorssm_pipelines.store import Store

    settings = load_recipe(recipe, data=data, store=store)
    return settings, Store(settings.store)


def _progress() -> Progress:
    from sensorssm_pipelines.progress import ProgressLines

    return ProgressLines(click.echo)
