"""What makes latencies comparable, in the form stored with runs and latency predictors."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.dataclass_reader import read_dataclass
from ...search_space.serialization.yaml_nodes import YamlNode
from ..trust import from_file
from .device import Device
from .reference_panel import Calibration, ReferencePanel


@dataclass(frozen=True)
class LatencySetup:
    """Device, reference panel and calibration; latencies are comparable if all of it is equal.

    Attributes:
        backend: name of the latency backend, `module:attribute` or `command:TEMPLATE`.
        panel: the reference networks; limits such as `0.5x` are multiples of the latency of its reference.
    """

    backend: str
    device: Device
    panel: ReferencePanel
    calibration: Calibration

    @property
    def reference(self) -> str:
        """Name of the network whose latency is 1x."""
        return self.panel.reference

    @property
    def reference_text(self) -> str:
        """That network with its resolution: `mobilenet_v3_small at 224 px`."""
        return self.panel.reference_text

    @property
    def reference_ms(self) -> float:
        """Latency of the reference in milliseconds at calibration."""
        return self.calibration.reference_ms

    def to_dict(self) -> dict[str, Any]:
        """The form that `read_latency_setup` reads."""
        networks = {name: network.to_dict() for name, network in self.panel.networks.items()}
        return {
            "backend": self.backend,
            "device": asdict(self.device),
            "panel": {"reference": self.panel.reference, "networks": networks},
            "calibration": asdict(self.calibration),
        }


def read_latency_setup(entry: YamlNode) -> LatencySetup:
    """Read a setup from a node of a parsed file.

    Raises:
        FileFormatError: names file, line and key.
    """
    entries = entry.mapping(tuple(field.name for field in fields(LatencySetup)))
    panel = _read_reference_panel(entries["panel"])
    calibration = read_dataclass(Calibration, entries["calibration"])
    if set(calibration.ratios) != set(panel.networks):
        names = f"{', '.join(panel.networks)}, got {', '.join(calibration.ratios)}"
        raise entries["calibration"].error(f"ratios must be those of the panel's networks {names}")
    return LatencySetup(
        backend=from_file(entries["backend"].text(), "latency backend", entries["backend"].place),
        device=read_dataclass(Device, entries["device"]),
        panel=panel,
        calibration=calibration,
    )


def _read_reference_panel(entry: YamlNode) -> ReferencePanel:
    entries = entry.mapping(("reference", "networks"))
    value = entries["networks"].value
    networks = entries["networks"].mapping((), value if isinstance(value, dict) else {})
    with entry.error_context():
        return ReferencePanel(
            entries["reference"].text(), {name: read_architecture(each) for name, each in networks.items()}
        )
