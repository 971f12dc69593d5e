"""A search run as users see it: trials, Pareto front, figures, trained networks and exported files."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..search_space import RunError
from .store.search_run import SearchRun
from .store.trial import Record

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

    from ..evaluate import Quantity
    from ..search_space.network import Network
    from .analysis.gene_model import GeneModel


class Run(SearchRun):
    """A search run, opened from its folder; `run_search` returns one too.

    Every call reads the study anew, so that it sees the trials of a search that is still running.

    Attributes:
        folder: the folder on disk.
        settings: space, goals, data, recipe and everything else that repeats the search.

    Example:
        >>> from bneck.results import Run
        >>> run = Run.open("runs/example")
        >>> len(run.trials())
        28
        >>> run.best().trial
        5
    """

    def trials(self) -> list[Record]:
        """All trials in order, with their state, cost, latency and accuracy.

        Trials that have no genes yet are left out.

        Example:
            >>> from bneck.results import Run
            >>> trials = Run.open("runs/example").trials()
            >>> [trial.trial for trial in trials if trial.state == "infeasible"]
            [1, 3, 6]
            >>> trials[0].top1, trials[0].latency.latency_ms
            (0.9, 0.6)
        """
        return self.records()

    def front(self) -> list[Record]:
        """The Pareto front of the completed trials, ordered by the last objective, cheapest first.

        Networks whose re-measured latency violates a limit are excluded. With a single objective the front
        is the best trial.

        Example:
            >>> from bneck.results import Run
            >>> [record.trial for record in Run.open("runs/example").front()]
            [2, 0, 5]
        """
        return super().front()

    def to_pandas(self) -> "DataFrame":
        """All trials as a data frame with the trial number as index.

        | column | unit | meaning |
        | --- | --- | --- |
        | `source` | | `sampler`, or the name of the published network that was enqueued |
        | `state` | | `complete`, `stopped`, `infeasible`, `duplicate`, `failed`, `interrupted`, `running` or `enqueued` |
        | `pareto` | | whether the trial is on the Pareto front |
        | `key` | | hash of the architecture |
        | `accuracy` | fraction | estimated accuracy, which corrects for selection; the mean while that is impossible |
        | `accuracy_low`, `accuracy_high` | fraction | its 95% interval |
        | `mean_accuracy` | fraction | mean validation top-1 accuracy over the seeds |
        | `n_seeds` | | number of trainings |
        | `pareto_probability` | fraction | probability of being Pareto-optimal |
        | `reward` | | value of a `reward` objective |
        | `latency_ms` | ms | latency of one image |
        | `latency_ratio`, `latency_ratio_low`, `latency_ratio_high` | x | latency relative to the reference network, with its 95% interval |
        | `macs`, `params` | | multiply-adds of one image, and parameters |
        | `network` | | pretrained network, resolution and what is tuned; None for one trained from scratch |
        | `test_accuracy` | fraction | test top-1 accuracy; front only |
        | `resolution_px` | px | side of the input image |
        | `blocks` | | number of bneck blocks |
        | `seconds` | s | duration of the trial |
        | `error` | | why a trial failed |
        | `gene_...` | | choice of each gene of the space |

        Missing values are NaN or None. The correction for selection needs replicates of some networks.

        Example:
            >>> from bneck.results import Run
            >>> trials = Run.open("runs/example").to_pandas()
            >>> trials[trials.pareto].latency_ms.to_dict()
            {0: 0.6, 2: 0.4, 5: 0.9}
        """  # noqa: E501
        from .export.trials_table import trials_dataframe

        return trials_dataframe(self)

    def plot_pareto(self, x: "Quantity | None" = None) -> "Figure":
        """Validation accuracy against cost: all trials, the Pareto front, baselines and the limit.

        Args:
            x: `latency` (ms), `macs` or `params`; by default the cost in the objectives or limits.

        Example:
            >>> from bneck.results import Run
            >>> figure = Run.open("runs/example").plot_pareto(x="macs")
            >>> figure.layout.xaxis.title.text
            'MACs'
        """
        from ..evaluate.objectives import x_quantity
        from .analysis.front_posterior import front_posterior_of
        from .plots.netadapt import netadapt_traces
        from .plots.pareto import pareto_figure

        goals, failed = self.settings.goals, self.failed_verification()
        x = x or x_quantity(goals)
        figure = pareto_figure(
            [record for record in self.records() if record.key not in failed],
            self.front(),
            self.baselines(),
            self.verifications(),
            goals,
            self.settings.latency.reference_ms,
            x,
            front_posterior_of(self.completed_records(), goals),
        )
        return figure.add_traces([trace for run in self.runs for trace in netadapt_traces(run.folder, x)])

    def plot_history(self) -> "Figure":
        """Normalized hypervolume of the front by trial; with a single objective the best value by trial.

        Raises:
            RunError: no trial is complete.

        Example:
            >>> from bneck.results import Run
            >>> figure = Run.open("runs/example").plot_history()
            >>> figure.layout.yaxis.title.text
            'normalized hypervolume, %'
        """
        from .analysis.hypervolume import hypervolume_box
        from .plots.history import best_value_figure, hypervolume_figure

        completed, settings = self.completed_records(), self.settings
        if not completed:
            raise self.nothing_complete()
        last, objectives = self.records()[-1].trial, settings.goals.objectives
        if len(objectives) == 1:
            return best_value_figure(completed, objectives[0], last)
        box = hypervolume_box(completed, settings.goals, settings.latency.reference_ms)
        return hypervolume_figure(completed, box, last)

    def plot_importance(self, quantity: "Quantity" = "accuracy") -> "Figure":
        """Importance of the genes for a quantity: total-effect index of the surrogate, and fANOVA.

        Args:
            quantity: `accuracy`, or the cost in the objectives.
        Raises:
            RunError: fewer than 20 networks have been trained.

        Example:
            >>> from bneck.results import Run
            >>> figure = Run.open("runs/example").plot_importance()
            >>> [bars.name for bars in figure.data]
            ['total effect', 'fANOVA']
        """
        from .analysis.importance import gene_importances
        from .plots.ablation import importance_figure

        return importance_figure(gene_importances(self._gene_model()), quantity)

    def plot_ablation(self) -> "Figure":
        """Effect of each architecture choice by location: change in accuracy and in cost.

        Significant effects (90% interval without 0) are colored.

        Raises:
            RunError: fewer than 20 networks have been trained.

        Example:
            >>> from bneck.results import Run
            >>> figure = Run.open("runs/example").plot_ablation()
            >>> figure.data[0].type
            'heatmap'
        """
        from .analysis.ablation import ablation_effects
        from .plots.ablation import effects_figure

        model = self._gene_model()
        return effects_figure(ablation_effects(model), model.cost_quantity)

    def network(self, trial: int | str = "best") -> "Network":
        """A trained network as a `torch.nn.Module` in evaluation mode, on the CPU.

        Its input is `n x channels x resolution x resolution` pixels, normalized by `pixel_mean` and
        `pixel_std` of `settings.data_for(network.architecture)`; its output `n x classes` logits.

        Args:
            trial: number of a trial, `best` or `knee`.
        Raises:
            RunError: there is no such trial, or its evaluator keeps no weights.

        Example:
            >>> import torch
            >>> from bneck.results import Run
            >>> network = Run.open("runs/example").network("best")
            >>> network(torch.zeros(1, 1, 24, 24)).shape
            torch.Size([1, 10])
        """
        from ..evaluate.training.checkpoint import load_trained_network

        architecture = self.record(str(trial)).architecture
        return load_trained_network(architecture, self.checkpoint(architecture))

    def export(
        self, trial: int | str = "best", formats: Iterable[str] = ("config",), folder: Path | str = "exported"
    ) -> list[Path]:
        """Write a trained network as files named after its trial and key.

        Args:
            trial: number of a trial, `best`, `knee`, or `front` for all networks on the front.
            formats: such as `config`, `weights`, `huggingface`, `python`, `onnx` and `int8`; see
                `docs/guide/export.md`.
            folder: created if it does not exist.
        Returns:
            The paths, in the order of `formats` for each network.
        Raises:
            UnknownNameError: there is no such format.
            RunError: the trial is not complete, its weights are missing, a file exists, or the logits of one
                differ from torch's by more than 0.001.

        Example:
            >>> from bneck.results import Run
            >>> paths = Run.open("runs/example").export("best", ["config", "onnx"], "exported")
            >>> [path.suffix for path in paths]
            ['.yaml', '.onnx']
        """
        from .export.models import export, require_formats

        names = require_formats(formats)
        return [each.path for each in export(self, self.records_named(str(trial)), names, Path(folder))]

    def _gene_model(self) -> "GeneModel":
        from .analysis.gene_model import MIN_NETWORKS, GeneModel

        completed = self.completed_records()
        model = GeneModel.of(self, completed)
        if model is None:
            n_trained = sum(bool(record.trainings) for record in completed)
            raise RunError(
                f"{self.folder}: needs at least {MIN_NETWORKS} trained networks, got {n_trained}; "
                f"{self.resume_command}"
            )
        return model
