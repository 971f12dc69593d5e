"""`bneck report`, `bneck watch`, `bneck dashboard` and `bneck export`: pages and files of an experiment."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...search_space import GoalError, RunError
from ..console.terminal import echo
from .options import PngOption, RunArgument

if TYPE_CHECKING:
    from ...results.export.models import Exported

EXPORT_FORMATS = (
    "config",
    "weights",
    "huggingface",
    "python",
    "timm",
    "torchvision",
    "card",
    "onnx",
    "int8",
    "pt2",
    "executorch",
    "litert",
    "openvino",
    "ncnn",
)


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...",
            help="folder of bneck search, train, netadapt or seed-variance; or several searches",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="output folder; by default that of the run"),
    ] = None,
    png: PngOption = False,
) -> None:
    """Write the HTML report of a run, training or study, or one with a common front of several searches.

    bneck report runs/tiny-digits-1
    bneck report runs/pretrained-photos-1 runs/mobile-32-photos-1 --out one-front
    """
    if len(folders) > 1 and out is None:
        raise GoalError("the report of several searches needs --out DIR")
    target = out or folders[0]
    pictures = target / "pictures" if png else None
    write_page(folders, target / "report.html", pictures)
    echo(f"report:    {target / 'report.html'}")
    if pictures:
        echo(f"pictures:  {pictures}")


def watch(
    folder: RunArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of 127.0.0.1; 0 takes a free one")] = 8765,
    interval: Annotated[int, typer.Option(metavar="S", min=1, help="seconds between reloads")] = 30,
) -> None:
    """Serve the report of a running search on this machine; Ctrl-C ends it.

    bneck watch runs/tiny-digits-1
    """
    from ...results import Run
    from ...results.pages.live import ADDRESS, LivePage, live_server
    from ...results.pages.search import report_html

    def version() -> object:
        study = Run.open(folder).study
        return [trial.state for trial in study.get_trials(deepcopy=False)], sorted(study.user_attrs)

    version()  # a folder that is no search is an error now, not in the browser
    page = LivePage(version, lambda: report_html(Run.open(folder)))
    with live_server(page, port, interval) as server:
        echo(f"report:    http://{ADDRESS}:{server.server_port}/ (Ctrl-C ends it)")
        server.serve_forever()


def dashboard(
    folder: RunArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="of 127.0.0.1")] = 8080,
) -> None:
    """Open optuna-dashboard on a copy of a search's study; Ctrl-C ends it.

    bneck dashboard runs/tiny-digits-1

    Only evaluated networks have values there. Start it again to see later trials.
    """
    from ...evaluate.optional_dependencies import optional_import
    from ...results import Run
    from ...results.export.dashboard import dashboard_study

    run = Run.open(folder)
    with optional_import("bneck dashboard", extra="dashboard", error=RunError):
        from optuna_dashboard import run_server
    echo(f"dashboard: http://127.0.0.1:{port}/ (Ctrl-C ends it)")
    run_server(dashboard_study(run)._storage, host="127.0.0.1", port=port)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="folder of bneck search or train")],
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="N|best|knee|front",
            help="of a search: a trial, or networks of its Pareto front",
        ),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="F[,F...]", help=f"formats: {', '.join(EXPORT_FORMATS)}")
    ] = "config",
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="output folder")] = Path("exported"),
    batch: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="of models for runtimes: fixed number of images")
    ] = None,
    embed_preprocessing: Annotated[
        bool, typer.Option("--embed-preprocessing", help="of onnx: normalization and softmax in the model")
    ] = False,
) -> None:
    """Export a trained network as files.

    bneck export runs/tiny-digits-1 --trial best --format config,onnx --out exported
    """
    for path, difference, note in write_exports(folder, trial, formats, out, batch, embed_preprocessing):
        echo(path)
        if difference is not None:
            typer.echo(f"{path.name}: logits differ from torch's by at most {difference:.1g}", err=True)
        if note:
            typer.echo(f"{path.name}: {note}", err=True)


def write_page(folders: Sequence[Path], page: Path, png_folder: Path | None = None) -> None:
    """Write the page, and its figures as PNG into a folder if given; several searches share one page.

    Raises:
        BneckError: there is no experiment, it has no results yet, or a file cannot be written.
    """
    from ...results import JoinedRuns
    from ...results.outputs import write_report
    from ...results.store.open_experiment import open_experiment
    from ..resolve.environment import torch_device

    experiment = JoinedRuns.of(folders) if len(folders) > 1 else open_experiment(folders[0])
    write_report(experiment, page, png_folder=png_folder, device=torch_device("auto"))


def write_exports(
    folder: Path, trial: str | None, formats: str, out: Path, batch: int | None, embed: bool
) -> list["Exported"]:
    """Write the files of a training's network, or of trials of a search.

    Raises:
        BneckError: there is no such network, or the files cannot be written.
    """
    from ...results import Run
    from ...results.export import models
    from ...results.export.exportable import OnnxOptions, exportable_from_training
    from ...results.store.experiment import is_training
    from ...results.store.training_run import TrainingRun

    names = models.parse_formats(formats)
    onnx = OnnxOptions(batch, embed)
    if is_training(folder):
        if trial is not None:
            raise GoalError(f"{folder} is a training, which has one network; leave out --trial")
        network = replace(exportable_from_training(TrainingRun.open(folder)), onnx=onnx)
        return models.write_files([network], names, out)
    run = Run.open(folder)
    if trial is None:
        raise GoalError(f"{folder} is a search; choose a network of it: --trial best")
    return models.export(run, run.records_named(trial), names, out, onnx)
