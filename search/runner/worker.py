"""Steps of the workers: measure, train, replicate, evaluate on the test set. One thread each."""

from dataclasses import dataclass, replace
from functools import cached_property

from ...evaluate import Accuracy, Latency
from ...evaluate.data.dataset import Data, unreadable_images_text
from ...evaluate.latency.meter import LatencyMeter
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.scorers import EvaluationContext, Score, Scorer, evaluator
from ...evaluate.scorers.fine_tuning import context_for, initial_network
from ...evaluate.training.checkpoint import load_trained_network, make_checkpoint, save_checkpoint
from ...evaluate.training.distillation import Distillation, load_teacher
from ...evaluate.training.evaluation import evaluate
from ...evaluate.training.recipe import load_recipe
from ...evaluate.training.step_timing import StepTiming, time_steps
from ...results import Baseline, Run, RunSettings
from ...results.store.pretrained_baseline import is_pretrained, parent_of
from ...search_space import Architecture, GoalError, Parent
from ..parallel.worker_process import init_worker_process
from ..resolve.datasets import normalized_for_evaluator
from ..resolve.objects import NO_OBJECTS, SearchObjects
from ..resolve.recipes import FINE_TUNING
from .partial_training import PartialTrainingResult, train_to_epoch


def require_accuracy(score: Score, name: str) -> Accuracy:
    """The accuracy of a score.

    Raises:
        GoalError: the evaluator gives a score only, as proxies do.
    """
    if score.accuracy is None:
        raise GoalError(f"evaluator {name} gives no accuracy")
    return score.accuracy


@dataclass(frozen=True)
class Worker:
    """The steps of one run, with what they share: data, evaluator, latency meter.

    Attributes:
        parent: a pretrained network that is fine-tuned in place of the run's trainings.
    """

    run: Run
    objects: SearchObjects = NO_OBJECTS
    parent: Parent | None = None

    @property
    def settings(self) -> RunSettings:
        return self.run.settings

    @cached_property
    def data(self) -> Data:
        data = self.settings.data.load(self.objects.data)
        return normalized_for_evaluator(self.settings.evaluator, data)

    @cached_property
    def evaluator(self) -> Scorer:
        return evaluator(self.objects.evaluator or self.settings.evaluator, self.context)

    @property
    def context(self) -> EvaluationContext:
        settings = self.settings
        if self.parent:
            parents = {self.parent.name: self.parent}
            return EvaluationContext(self.data, load_recipe(FINE_TUNING), settings.torch_device, parents)
        return EvaluationContext(
            self.data, settings.recipe, settings.torch_device, settings.parents, self.distillation
        )

    @cached_property
    def distillation(self) -> Distillation | None:
        weight = self.settings.soft_label_weight
        return Distillation(load_teacher(self.run.teacher_file), weight) if weight else None

    @cached_property
    def meter(self) -> LatencyMeter:
        return LatencyMeter.from_setup(self.settings.latency)

    def measure(self, architecture: Architecture) -> Latency:
        return self.meter.measure(architecture.without_fine_tuning)

    def remeasure(self, architecture: Architecture) -> Latency:
        return self.meter.measure(architecture.without_fine_tuning, fresh=True)

    def time_steps(self, architecture: Architecture) -> StepTiming | None:
        """Time a few training steps of a network; nothing is stored."""
        context = context_for(architecture, self.context)
        network = initial_network(architecture, self.settings.seed, context.parents)
        return time_steps(
            network, context.data, context.recipe, context.device, distillation=context.distillation
        )

    def train(self, architecture: Architecture) -> Accuracy:
        """Evaluate with the first seed of the network, and save the weights if there are any.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
            ScorerError: the evaluator cannot evaluate this network.
        """
        settings = self.settings
        seed = settings.training_seed(architecture.key)
        score = self.evaluator.score(architecture, seed)
        accuracy = require_accuracy(score, settings.evaluator)
        if score.network is not None:
            context = context_for(architecture, self.context)
            trained = make_checkpoint(score.network, context.data, context.recipe, seed, accuracy.curve)
            save_checkpoint(trained, self.run.checkpoint(architecture))
        return accuracy

    def train_to_epoch(self, architecture: Architecture, epochs: int) -> PartialTrainingResult:
        """Train to a rung with the first seed of the network, from the partial checkpoint if there is one.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        settings, run = self.settings, self.run
        files = run.partial_checkpoint(architecture), run.checkpoint(architecture)
        return train_to_epoch(
            epochs, architecture, self.context, settings.training_seed(architecture.key), *files
        )

    def train_replicate(self, architecture: Architecture, seed: int) -> Accuracy:
        """Train in full with another seed; the weights of the first training stay."""
        return replace(
            require_accuracy(self.evaluator.score(architecture, seed), self.settings.evaluator), seed=seed
        )

    def evaluate_on_test_set(self, architecture: Architecture) -> tuple[float, float, int]:
        """Accuracy, loss and number of test images."""
        network = load_trained_network(architecture, self.run.checkpoint(architecture))
        top1, loss = evaluate(network, context_for(architecture, self.context).data, "test")
        return top1, loss, self.data.count("test")

    def baseline(self, name: str) -> Baseline:
        """Train and measure a published network as the search does, or fine-tune a pretrained one."""
        architecture = self.settings.published_architecture(name)
        model = (
            LatencyPredictor.load(self.run.latency_predictor_file)
            if self.settings.latency_policy == "model"
            else None
        )
        latency = model.predict(architecture) if model else self.measure(architecture)
        own = replace(self, parent=parent_of(name)) if is_pretrained(name) else self
        accuracy = own.train(architecture)
        top1, _, images = own.evaluate_on_test_set(architecture)
        return Baseline(name, architecture, latency, accuracy, top1, images)


_worker: Worker


def start(run: Run, objects: SearchObjects = NO_OBJECTS) -> None:
    """Make this process a worker; a child process ends with its parent."""
    global _worker
    init_worker_process()
    _worker = Worker(run, objects)


def stop() -> None:
    """Release the data and networks of an in-process worker."""
    global _worker
    if "_worker" in globals():
        del _worker


def skipped_images_text() -> str | None:
    """One line about the images that this worker could not read."""
    return unreadable_images_text(_worker.data)


def count_training_images() -> int:
    return _worker.data.count("train")


def measure(architecture: Architecture) -> Latency:
    return _worker.measure(architecture)


def time_training_steps(architecture: Architecture) -> StepTiming | None:
    return _worker.time_steps(architecture)


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
