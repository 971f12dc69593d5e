"""Latency prediction from network structure, fitted to measured networks.

A linear model over the terms of `predictor_features`, fitted by ridge regression to the least relative error.
Intervals are conformal: their width is a quantile of the errors of nested cross-validation.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from ...search_space import Architecture
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.dataclass_reader import read_dataclass, read_value
from ...search_space.serialization.yaml_nodes import YamlNode, parse_file
from ..trust import trusting
from .measurement import Latency
from .predictor_features import DETAILED_TERMS, VECTOR_WIDTHS, features
from .predictor_fit import held_out_errors, select_fit, term_tables
from .setup import LatencySetup, read_latency_setup

FORMAT = "latency-predictor/1"
COVERAGE = 0.9
MIN_NETWORKS = 20
MIN_NETWORKS_FOR_DETAILED_TERMS = 60
EXTRAPOLATION_FLOOR = 0.1


@dataclass(frozen=True)
class MeasuredRatio:
    """A measured network: `Architecture.key` and latency relative to the reference."""

    key: str
    ratio: float


@dataclass(frozen=True)
class PredictionMetrics:
    """Accuracy of a predictor on networks that it was not fitted to.

    Attributes:
        networks: number of networks.
        spearman: rank correlation of prediction and measurement; None or NaN if undefined.
        mape: mean absolute error as a fraction of the measurement.
        within_5, within_10: fraction of networks with an error of at most 5% or 10%.
        coverage: fraction of networks within the 90% interval.
    """

    networks: int
    spearman: float | None
    mape: float
    within_5: float
    within_10: float
    coverage: float


@dataclass(frozen=True)
class LatencyPredictor:
    """Predicts the latency of the networks of a search space without measuring them.

    Create one with `fit` or `load`.

    Attributes:
        space: name of the search space of the training networks.
        setup: device, reference panel and calibration of the measurements.
        vector_width: channels are rounded up to a multiple of it.
        ridge: ridge penalty.
        terms: cost of one unit of each term, relative to the latency of the reference.
        errors: relative errors of models selected and fitted without the network, ascending.
        training_networks: networks that the predictor was fitted to.
        held_out: accuracy on other networks; None if none were measured.

    Example:
        >>> import random
        >>> from bneck.evaluate import LatencyMeter, LatencyPredictor
        >>> from bneck.search_space import load_space
        >>> space, rng = load_space("tiny"), random.Random(0)
        >>> networks = [space.decode(space.sample(rng)) for _ in range(40)]
        >>> meter = LatencyMeter.open("fake", like=networks[0])  # "onnxruntime", "torch", ...
        >>> ratios = [meter.measure(network).ratio for network in networks]
        >>> predictor = LatencyPredictor.fit(networks[10:], ratios[10:], setup=meter.setup, space="tiny")
        >>> predictor.evaluate(networks[:10], ratios[:10]).mape < 0.05
        True
        >>> latency = predictor.predict(networks[0])
        >>> latency.ratio_low < ratios[0] < latency.ratio_high
        True
        >>> predictor.save("latency.json")
        >>> LatencyPredictor.load("latency.json") == predictor
        True
    """

    space: str
    setup: LatencySetup
    vector_width: int
    ridge: float
    terms: Mapping[str, float]
    errors: tuple[float, ...]
    training_networks: tuple[MeasuredRatio, ...]
    held_out: PredictionMetrics | None = None

    @classmethod
    def fit(
        cls, networks: Sequence[Architecture], ratios: Sequence[float], *, setup: LatencySetup, space: str
    ) -> "LatencyPredictor":
        """The predictor with the smallest leave-one-out error.

        Args:
            networks: at least 20; from 60 on, more detailed terms are tried.
            ratios: measured `Latency.ratio`, one per network.
            setup: where the ratios were measured, such as `LatencyMeter.setup`.
            space: name of the search space of the networks.
        Raises:
            ValueError: fewer than 20 networks.
        """
        if len(networks) < MIN_NETWORKS:
            raise ValueError(f"a latency predictor needs {MIN_NETWORKS} networks, got {len(networks)}")
        detailed = len(networks) >= MIN_NETWORKS_FOR_DETAILED_TERMS
        tables = term_tables(networks)
        fit = select_fit(tables, ratios, np.arange(len(networks)), detailed=detailed)
        present = (tables[fit.vector_width] != 0).any(0).tolist()
        return cls(
            space=space,
            setup=setup,
            vector_width=fit.vector_width,
            ridge=fit.ridge,
            terms={
                name: float(cost)
                for name, cost, is_present in zip(DETAILED_TERMS, fit.coefficients, present, strict=False)
                if is_present
            },
            errors=tuple(sorted(held_out_errors(tables, ratios, detailed=detailed).tolist())),
            training_networks=tuple(
                MeasuredRatio(network.key, float(ratio))
                for network, ratio in zip(networks, ratios, strict=True)
            ),
        )

    @property
    def relative_error_std(self) -> float:
        """Standard deviation of the relative error."""
        return math.sqrt(sum(error**2 for error in self.errors) / len(self.errors))

    @property
    def conformal_margin(self) -> float:
        """Relative error that 90% of the networks do not exceed.

        Source: the jackknife+ of Barber et al. 2021, doi:10.1214/20-AOS1965, in its simpler form.
        """
        rank = math.ceil(COVERAGE * (len(self.errors) + 1))
        return min(self.errors[min(rank, len(self.errors)) - 1], 0.99)

    def predict(self, architecture: Architecture) -> Latency:
        """Predicted latency with its 90% interval; at least a tenth of the fastest training network."""
        term_values = features(architecture, self.vector_width)
        total = sum(cost * term_values[term] for term, cost in self.terms.items())
        ratio = max(total, EXTRAPOLATION_FLOOR * min(each.ratio for each in self.training_networks))
        return Latency(
            ratio=ratio,
            ratio_low=ratio / (1 + self.conformal_margin),
            ratio_high=ratio / (1 - self.conformal_margin),
            latency_ms=ratio * self.setup.reference_ms,
            status="ok",
            device=self.setup.device.key,
            source="predicted",
        )

    def within_two_std(self, ratio: float, limit: float) -> bool:
        """Whether a predicted ratio is within two standard deviations of a limit."""
        return abs(ratio / limit - 1) <= 2 * self.relative_error_std

    def evaluate(self, networks: Sequence[Architecture], ratios: Sequence[float]) -> PredictionMetrics:
        """Compare predictions with the measured ratios of networks that the predictor was not fitted to."""
        from scipy.stats import spearmanr

        predicted = [self.predict(network) for network in networks]
        predicted_ratios, measured_ratios = np.array([each.ratio for each in predicted]), np.asarray(ratios)
        errors = np.abs(predicted_ratios / measured_ratios - 1)
        covered = [
            each.ratio_low <= ratio <= each.ratio_high for each, ratio in zip(predicted, ratios, strict=True)
        ]
        return PredictionMetrics(
            networks=len(networks),
            spearman=float(spearmanr(predicted_ratios, measured_ratios).statistic),
            mape=float(errors.mean()),
            within_5=float((errors <= 0.05).mean()),
            within_10=float((errors <= 0.10).mean()),
            coverage=float(np.mean(covered)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The versioned JSON form."""
        document: dict[str, Any] = {"bneck": FORMAT}
        document |= {field.name: getattr(self, field.name) for field in fields(self)}
        document["setup"] = self.setup.to_dict()
        document["training_networks"] = [asdict(each) for each in self.training_networks]
        document["held_out"] = asdict(self.held_out) if self.held_out else None
        if self.held_out and self.held_out.spearman != self.held_out.spearman:
            document["held_out"]["spearman"] = None
        return document

    def save(self, path: str | Path, *, replace: bool = True) -> None:
        """Write a JSON file atomically.

        Args:
            replace: whether an existing file is replaced; otherwise it is an error.
        Raises:
            RunError: it cannot be written there.
        """
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
        write_atomic(Path(path), f"{text}\n", replace=replace)

    @classmethod
    def load(cls, path: str | Path, *, trust: bool = False) -> "LatencyPredictor":
        """Read a file that `save` wrote.

        Args:
            trust: measure by the command or `module:attribute` of the file, which may come from somebody
                else; without it, measuring raises `TrustError`.
        Raises:
            FileFormatError: names file, line and key.
        """
        with trusting(trust):
            return cls._read(parse_file(Path(path)))

    @classmethod
    def _read(cls, root: YamlNode) -> "LatencyPredictor":
        entries = root.versioned_mapping(FORMAT, [field.name for field in fields(cls)])
        hints = get_type_hints(cls)
        scalars = {name: read_value(hints[name], entries[name]) for name in ("space", "ridge", "errors")}
        held_out = entries["held_out"]
        for name in ("errors", "training_networks"):
            if not entries[name].items():
                raise entries[name].error("must have at least one item")
        return cls(
            setup=read_latency_setup(entries["setup"]),
            vector_width=_one_of(entries["vector_width"], VECTOR_WIDTHS),
            terms={
                name: read_value(float, each)
                for name, each in entries["terms"].mapping((), DETAILED_TERMS).items()
            },
            training_networks=tuple(
                read_dataclass(MeasuredRatio, each) for each in entries["training_networks"].items()
            ),
            held_out=None if held_out.value is None else read_dataclass(PredictionMetrics, held_out),
            **scalars,
        )


def _one_of(entry: YamlNode, known: tuple[int, ...]) -> int:
    value = entry.integer()
    if value not in known:
        raise entry.error(f"must be one of {', '.join(map(str, known))}, got {value}")
    return value
