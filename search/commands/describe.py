"""`bneck describe`: spaces, data sets, recipes, pretrained networks, latency predictors and supernets."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ...search_space import UnknownNameError
from ..console.terminal import echo
from ..resolve.requests import DatasetRequest
from .options import JsonOption, YamlOption, print_json

NameArgument = Annotated[
    str | None, typer.Argument(metavar="NAME|FILE", help="preset or file; lists the presets if left out")
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="file of the predictor or supernet")]


def space(name: NameArgument = None, as_json: JsonOption = False, as_yaml: YamlOption = False) -> None:
    """Describe a search space, or list the presets.

    bneck describe space tiny --yaml > mine.yaml
    """
    from ...search_space import PRESETS, load_space, preset_yaml
    from ..console import space_table

    if as_yaml:
        echo(preset_yaml(_preset("space", name, PRESETS)), nl=False)
    elif name is None and as_json:
        print_json(list(PRESETS))
    elif name is None:
        space_table.print_presets()
    elif as_json:
        print_json(space_table.as_dict(load_space(name)))
    else:
        space_table.print_space(load_space(name))


def recipe(name: NameArgument = None, as_json: JsonOption = False, as_yaml: YamlOption = False) -> None:
    """Describe a training recipe, or list the presets.

    bneck describe recipe small-images --yaml > mine.yaml
    """
    from ...evaluate.training.recipe import RECIPES, load_recipe, preset_recipe_yaml, recipe_yaml

    if as_yaml:
        echo(preset_recipe_yaml(_preset("recipe", name, RECIPES)), nl=False)
    elif name is None and as_json:
        print_json(list(RECIPES))
    elif name is None:
        echo("\n".join(RECIPES))
    elif as_json:
        print_json(asdict(load_recipe(name)))
    else:
        echo(recipe_yaml(load_recipe(name)), nl=False)


def data(
    request: DatasetRequest,
    check: Annotated[bool, typer.Option("--check", help="decode every image of a folder")] = False,
    as_json: JsonOption = False,
) -> None:
    """Describe a data set: images per class and split.

    bneck describe data folder:photos --check
    """
    from ...evaluate.data.dataset import load_data
    from ..console.data_table import as_dict, print_data

    data = load_data(request.data, root=request.data_root, download=request.download)
    summary = as_dict(data, check=check)
    if as_json:
        print_json(summary)
    else:
        print_data(summary)


def pretrained(as_json: JsonOption = False) -> None:
    """List the networks with ImageNet weights, and which are on this machine.

    bneck describe pretrained --json
    """
    from ..console import pretrained_table

    if as_json:
        print_json(pretrained_table.as_dict())
    else:
        pretrained_table.print_pretrained()


def latency_predictor(file: FileArgument, as_json: JsonOption = False) -> None:
    """Describe a latency predictor: its terms and its errors.

    bneck describe latency-predictor phone.json
    """
    from ...evaluate import LatencyPredictor
    from ..jobs.latency_predictor import print_model

    predictor = LatencyPredictor.load(file)
    if as_json:
        print_json(predictor.to_dict())
    else:
        print_model(predictor)


def supernet(file: FileArgument, as_json: JsonOption = False) -> None:
    """Describe a supernet: its space and how it was trained.

    bneck describe supernet tiny.safetensors
    """
    from ...evaluate.supernet.checkpoint import load_supernet
    from ..jobs.supernet import as_dict, summary_lines

    trained = load_supernet(file)
    if as_json:
        print_json(as_dict(trained, file))
    else:
        echo("\n".join(summary_lines(trained, file)))


def _preset(kind: str, name: str | None, presets: Any) -> str:
    if name is None or name not in presets:
        raise UnknownNameError(kind, name or "", presets)
    return name
