"""Weight-sharing supernet of a search space."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...search_space import Architecture, Choice, ScorerError, SearchSpace, SpaceError
from ...search_space.network import Network
from ..training.train import seeded_network
from .elastic_layers import (
    ElasticBneck,
    ElasticConvNorm,
    ElasticLinear,
    StateDict,
    add_prefix,
    apply_activation,
)
from .max_sizes import max_last_channels, max_stage_sizes

SubnetSpec = Architecture | Mapping[str, Choice]


class Supernet(nn.Module):
    """All networks of a search space in one module with shared weights.

    A subnetwork uses the first channels, the center of a kernel, and the first blocks of a stage. Attention
    types have separate weights, as do classifiers with and without a hidden layer. Subnetworks share the
    batch-norm statistics, which fit none of them: recalibrate them
    (`bneck.evaluate.training.evaluation.recalibrate_batchnorm`) before evaluating a subnetwork.

    Args:
        space: search space for the images and classes of the data (`SearchSpace.for_data`).
    """

    def __init__(self, space: SearchSpace, dropout: float = 0.0) -> None:
        super().__init__()
        self.space = space
        stem, head = space.stem, space.head
        self.stem = ElasticConvNorm(space.image_channels, max(stem.out), max(stem.kernel))
        self.stages = nn.ModuleList(
            nn.ModuleList(ElasticBneck(sizes) for sizes in stage) for stage in max_stage_sizes(space)
        )
        features, hidden = max(head.features), max(head.hidden)
        self.features = ElasticConvNorm(max_last_channels(space), features)
        self.hidden = ElasticLinear(features, hidden) if hidden else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = ElasticLinear(features, space.classes) if 0 in head.hidden else None
        self.hidden_classifier = ElasticLinear(hidden, space.classes) if hidden else None

    def forward(self, images: Tensor, network: SubnetSpec) -> Tensor:
        """Logits of one subnetwork, `n x classes`.

        Args:
            images: `n x image_channels x r x r`; `r` may differ from the network's resolution.
            network: genes or an architecture of the space.
        Raises:
            SpaceError: the genes are not of the space.
            ScorerError: the architecture is not in the space.
        """
        architecture, elastic_blocks = self._resolve(network)
        stem, head = architecture.stem, architecture.head
        x = self.stem(images, stem.out, stem.kernel, stem.stride, stem.activation)
        for elastic_block, block in zip(elastic_blocks, architecture.blocks, strict=True):
            x = elastic_block(x, block)
        x = self.features(x, head.features, activation=head.activation)
        x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        if head.hidden:
            assert self.hidden is not None
            x = apply_activation(self.hidden(x, head.hidden), head.activation)
        logits: Tensor = self._classifier(head.hidden)(self.dropout(x))
        return logits

    def tensors(self, network: SubnetSpec) -> StateDict:
        """Weights of a subnetwork, named as in `Network`; views, not copies."""
        architecture, elastic_blocks = self._resolve(network)
        stem, head = architecture.stem, architecture.head
        subnet = add_prefix("stem", self.stem.tensors(architecture.image_channels, stem.out, stem.kernel))
        pairs = zip(elastic_blocks, architecture.blocks_with_in_channels(), strict=True)
        for number, (elastic_block, (channels, block)) in enumerate(pairs):
            subnet |= add_prefix(f"blocks.{number}", elastic_block.tensors(channels, block))
        subnet |= add_prefix("features", self.features.tensors(architecture.blocks[-1].out, head.features))
        if head.hidden:
            assert self.hidden is not None
            subnet |= add_prefix("hidden.0", self.hidden.tensors(head.features, head.hidden))
        last = self._classifier(head.hidden).tensors(head.hidden or head.features, architecture.classes)
        return subnet | add_prefix("classifier", last)

    def extract(self, network: SubnetSpec) -> Network:
        """A subnetwork as a `Network`, with copies of its weights and of the shared statistics.

        Raises:
            SpaceError: the genes are not of the space.
            ScorerError: the architecture is not in the space.
        """
        subnet = seeded_network(self._resolve(network)[0], seed=0)
        state = subnet.state_dict()
        with torch.no_grad():
            for name, value in self.tensors(network).items():
                state[name].copy_(value)
        return subnet

    def _resolve(self, network: SubnetSpec) -> tuple[Architecture, list[ElasticBneck]]:
        if isinstance(network, Architecture):
            try:
                network = self.space.encode(network)
            except SpaceError as error:
                raise ScorerError(f"the network is not in the supernet: {error}") from None
        elastic_blocks: list[ElasticBneck] = []
        for number, (stage, elastic_stage) in enumerate(
            zip(self.space.stages, self.stages, strict=True), start=1
        ):
            assert isinstance(elastic_stage, nn.ModuleList)
            depth = network.get(f"stage{number}.depth", stage.depth[0])
            elastic_blocks += [
                elastic_block
                for elastic_block in list(elastic_stage)[: int(depth)]
                if isinstance(elastic_block, ElasticBneck)
            ]
        return self.space.decode(network), elastic_blocks

    def _classifier(self, hidden: int) -> ElasticLinear:
        subnet = self.hidden_classifier if hidden else self.classifier
        assert subnet is not None
        return subnet
