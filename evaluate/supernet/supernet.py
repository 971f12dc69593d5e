"""All networks of a space in one: each takes its part of the same weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...search_space import Architecture, Choice, ScorerError, SearchSpace, SpaceError
from ...search_space.network import Network
from ..training.train import seeded_network
from .elastic_layers import ElasticBneck, ElasticConvNorm, ElasticLinear, Tensors, activated, under
from .max_sizes import last_channels, stage_sizes

Named = Architecture | Mapping[str, Choice]


class Supernet(nn.Module):
    """Weights of the largest choices at each place of a space.

    A network takes the first channels, the middle of a kernel, and the first blocks of a stage. Each
    kind of attention, and the classifier with and without a hidden layer, has weights of its own.
    The statistics of batch normalisation are shared by all networks and right for none: settle them
    (`bneck.evaluate.training.evaluation.settle_norms`) before a network is judged.

    Args:
        space: for the images and classes at hand (`SearchSpace.for_data`).
    """

    def __init__(self, space: SearchSpace, dropout: float = 0.0) -> None:
        super().__init__()
        self.space = space
        stem, head = space.stem, space.head
        self.stem = ElasticConvNorm(space.image_channels, max(stem.out), max(stem.kernel))
        self.stages = nn.ModuleList(
            nn.ModuleList(ElasticBneck(sizes) for sizes in stage) for stage in stage_sizes(space)
        )
        features, hidden = max(head.features), max(head.hidden)
        self.features = ElasticConvNorm(last_channels(space), features)
        self.hidden = ElasticLinear(features, hidden) if hidden else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = ElasticLinear(features, space.classes) if 0 in head.hidden else None
        self.hidden_classifier = ElasticLinear(hidden, space.classes) if hidden else None

    def forward(self, images: Tensor, network: Named) -> Tensor:
        """The logits of one network, `n x classes`.

        Args:
            images: `n x image_channels x r x r`; `r` may be another one than the network's.
            network: by its genes, or any network of the space.
        Raises:
            SpaceError: these are no genes of the space.
            ScorerError: the network is not in the space.
        """
        architecture, places = self._found(network)
        stem, head = architecture.stem, architecture.head
        x = self.stem(images, stem.out, stem.kernel, stem.stride, stem.activation)
        for place, block in zip(places, architecture.blocks, strict=True):
            x = place(x, block)
        x = self.features(x, head.features, activation=head.activation)
        x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        if head.hidden:
            assert self.hidden is not None
            x = activated(self.hidden(x, head.hidden), head.activation)
        logits: Tensor = self._classifier(head.hidden)(self.dropout(x))
        return logits

    def tensors(self, network: Named) -> Tensors:
        """The part of the weights that a network takes, named as in `Network`; views, no copies."""
        architecture, places = self._found(network)
        stem, head = architecture.stem, architecture.head
        found = under("stem", self.stem.tensors(architecture.image_channels, stem.out, stem.kernel))
        pairs = zip(places, architecture.blocks_with_inputs(), strict=True)
        for number, (place, (channels, block)) in enumerate(pairs):
            found |= under(f"blocks.{number}", place.tensors(channels, block))
        found |= under("features", self.features.tensors(architecture.blocks[-1].out, head.features))
        if head.hidden:
            assert self.hidden is not None
            found |= under("hidden.0", self.hidden.tensors(head.features, head.hidden))
        last = self._classifier(head.hidden).tensors(head.hidden or head.features, architecture.classes)
        return found | under("classifier", last)

    def extract(self, network: Named) -> Network:
        """The network alone, with copies of its weights and of the shared statistics.

        Raises:
            SpaceError: these are no genes of the space.
            ScorerError: the network is not in the space.
        """
        found = seeded_network(self._found(network)[0], seed=0)
        state = found.state_dict()
        with torch.no_grad():
            for name, value in self.tensors(network).items():
                state[name].copy_(value)
        return found

    def _found(self, network: Named) -> tuple[Architecture, list[ElasticBneck]]:
        """The network, and the place of each of its blocks."""
        if isinstance(network, Architecture):
            try:
                network = self.space.encode(network)
            except SpaceError as error:
                raise ScorerError(f"the supernet cannot judge it: {error}") from None
        places: list[ElasticBneck] = []
        for number, (stage, own) in enumerate(zip(self.space.stages, self.stages, strict=True), start=1):
            assert isinstance(own, nn.ModuleList)
            depth = network.get(f"stage{number}.depth", stage.depth[0])
            places += [place for place in list(own)[: int(depth)] if isinstance(place, ElasticBneck)]
        return self.space.decode(network), places

    def _classifier(self, hidden: int) -> ElasticLinear:
        found = self.hidden_classifier if hidden else self.classifier
        assert found is not None
        return found
