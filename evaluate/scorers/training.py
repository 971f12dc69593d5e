"""Evaluation by training: from scratch, or from the weights of a pretrained network."""

import time
from dataclasses import dataclass

from ...search_space import Architecture, ScorerError
from ..training.train import train
from . import EvaluationContext, Score
from .fine_tuning import context_for, initial_network


@dataclass(frozen=True)
class TrainingScorer:
    """Validation accuracy after training with the recipe.

    Equal seeds give equal image order and augmentation.
    """

    context: EvaluationContext
    name: str = "train"

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        context = context_for(architecture, self.context)
        if min(context.recipe.batch_size, context.data.count("train")) < 2:
            raise ScorerError(
                "train: batch normalisation needs at least 2 images per training step; "
                "increase the batch size or the number of training images"
            )
        network = initial_network(architecture, seed, context.parents)
        accuracy = train(
            network,
            context.data,
            context.recipe,
            seed=seed,
            device=context.device,
            distillation=context.distillation,
        )
        return Score(accuracy.top1, time.process_time() - start, accuracy, network)


def make(name: str, context: EvaluationContext) -> TrainingScorer:
    return TrainingScorer(context)
