"""How networks are trained, as a value that a run keeps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        learning_rate: the highest; it rises over the first `warmup` share of the steps and falls
            to 0 on a cosine.
        dropout: before the classifier.
        clip: the most that the norm of all gradients together may be.
        norm_images: training images over which the statistics of batch normalisation are averaged
            afresh before judging; in short runs the running ones lag behind the weights.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.08
    warmup: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    dropout: float = 0.1
    clip: float = 2.0
    augment: bool = True
    norm_images: int = 2048
