"""What a worker process does: measure, train, and look once more. One thread each."""

from dataclasses import dataclass, replace
from functools import cached_property

from ...evaluate import Accuracy, Latency
from ...evaluate.data.dataset import Data, unreadable_images_text
from ...evaluate.latency.meter import LatencyMeter
from ...evaluate.latency.predictor_file import load_latency_predictor
from ...evaluate.scorers import EvaluationContext, Score, Scorer, evaluator
from ...evaluate.training.checkpoint import load_trained_network, make_checkpoint, save_checkpoint
from ...evaluate.training.evaluation import evaluate
from ...results import Baseline, Run, RunSettings
from ...search_space import Architecture, GoalError
from ..parallel.worker_process import init_worker_process
from ..resolve.datasets import load_run_data, normalized_for_evaluator
from .partial_training import PartialTrainingResult, train_to_epoch


def require_accuracy(score: Score, name: str) -> Accuracy:
    """What a scorer says of accuracy.

    Raises:
        GoalError: it tells none.
    """
    if score.accuracy is None:
        raise GoalError(f"scorer {name} tells no accuracy")
    return score.accuracy


@dataclass(frozen=True)
class Worker:
    """The steps of judging a network."""

    run: Run

    @property
    def settings(self) -> RunSettings:
        return self.run.settings

    @cached_property
    def data(self) -> Data:
        return normalized_for_evaluator(self.settings.evaluator, load_run_data(self.settings.data))

    @cached_property
    def evaluator(self) -> Scorer:
        settings = self.settings
        return evaluator(
            settings.evaluator, EvaluationContext(self.data, settings.recipe, settings.torch_device)
        )

    @cached_property
    def meter(self) -> LatencyMeter:
        return LatencyMeter.from_setup(self.settings.latency)

    def measure(self, architecture: Architecture) -> Latency:
        return self.meter.measure(architecture)

    def remeasure(self, architecture: Architecture) -> Latency:
        return self.meter.measure(architecture, fresh=True)

    def train(self, architecture: Architecture) -> Accuracy:
        """Judge by the run's scorer and seed, the same for all networks, and keep the weights if it has any.

        Raises:
            NonFiniteLossError: the loss is no longer a number.
            ScorerError: the scorer cannot judge this network.
        """
        settings = self.settings
        score = self.evaluator.score(architecture, settings.seed)
        accuracy = require_accuracy(score, settings.evaluator)
        if score.network is not None:
            trained = make_checkpoint(
                score.network, self.data, settings.recipe, settings.seed, accuracy.curve
            )
            save_checkpoint(trained, self.run.checkpoint(architecture))
        return accuracy

    def train_to_epoch(self, architecture: Architecture, epochs: int) -> PartialTrainingResult:
        """Train to a rung, from where the network was left if it was; with the run's seed.

        Raises:
            NonFiniteLossError: the loss is no longer a number.
        """
        settings, run = self.settings, self.run
        context = EvaluationContext(self.data, settings.recipe, settings.torch_device)
        files = run.partial_checkpoint(architecture), run.checkpoint(architecture)
        return train_to_epoch(epochs, architecture, context, settings.seed, *files)

    def train_replicate(self, architecture: Architecture, seed: int) -> Accuracy:
        """In full with another seed; the weights kept stay, for the best draw would be a lucky one."""
        return replace(
            require_accuracy(self.evaluator.score(architecture, seed), self.settings.evaluator), seed=seed
        )

    def evaluate_on_test_set(self, architecture: Architecture) -> tuple[float, float, int]:
        """Accuracy and loss on the test images, and how many they are."""
        network = load_trained_network(architecture, self.run.checkpoint(architecture))
        top1, loss = evaluate(network, self.data, "test")
        return top1, loss, self.data.count("test")

    def baseline(self, name: str) -> Baseline:
        """A published network, treated like those of the search."""
        architecture = self.settings.published_architecture(name)
        model = (
            load_latency_predictor(self.run.latency_predictor_file)
            if self.settings.latency_policy == "model"
            else None
        )
        latency = model.predict(architecture) if model else self.measure(architecture)
        accuracy = self.train(architecture)
        top1, _, images = self.evaluate_on_test_set(architecture)
        return Baseline(name, architecture, latency, accuracy, top1, images)


_worker: Worker


def skipped_images_text() -> str | None:
    """The images that this worker could not read, in a line."""
    return unreadable_images_text(_worker.data)


def start(run: Run) -> None:
    """Make this process a worker, which ends with its parent."""
    global _worker
    init_worker_process()
    _worker = Worker(run)


def measure(architecture: Architecture) -> Latency:
    return _worker.measure(architecture)


def train_network(architecture: Architecture) -> Accuracy:
    rungs = _worker.settings.rungs
    return (
        _worker.train_to_epoch(architecture, rungs.first).accuracy if rungs else _worker.train(architecture)
    )


def train_to_rung(architecture: Architecture, epochs: int) -> PartialTrainingResult:
    return _worker.train_to_epoch(architecture, epochs)


def train_replicate(architecture: Architecture, seed: int) -> Accuracy:
    return _worker.train_replicate(architecture, seed)


def remeasure(architecture: Architecture) -> Latency:
    return _worker.remeasure(architecture)


def evaluate_on_test_set(architecture: Architecture) -> tuple[float, float, int]:
    return _worker.evaluate_on_test_set(architecture)


def baseline(name: str) -> Baseline:
    return _worker.baseline(name)
