"""Disk cache of measured latencies: one folder per device and reference panel, one JSON file per network."""

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...search_space.errors import MachineError
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.bounded_json import load_json
from ..user_cache import user_cache_folder
from .device import Device
from .measurement import Latency
from .reference_panel import Calibration, ReferencePanel

FORMAT = "latency/1"


def cache_directory() -> Path:
    """`$BNECK_CACHE`, or `bneck` in the user's cache directory."""
    if override := os.environ.get("BNECK_CACHE"):
        return Path(override)
    return user_cache_folder() / "bneck"


@dataclass(frozen=True)
class LatencyCache:
    """Latencies and calibration of one device and one reference panel.

    A file that is unreadable or belongs to another calibration counts as missing. A file that cannot be
    written is skipped without an error: everything in the cache can be measured again.
    """

    folder: Path

    @classmethod
    def for_device(cls, device: Device, panel: ReferencePanel) -> "LatencyCache":
        """The cache of a device and a panel; `device.json` in its folder describes both."""
        cache = cls(cache_directory() / "latency" / f"{device.key}-{panel.key}")
        networks = {name: network.key for name, network in panel.networks.items()}
        cache._write("device", {"device": asdict(device), "reference": panel.reference, "panel": networks})
        return cache

    def calibration(self) -> Calibration | None:
        entry = self._read("calibration")
        with suppress(TypeError, KeyError, AttributeError):
            calibration = Calibration(**entry["calibration"]) if entry else None
            if calibration and all(
                map(_is_duration, (calibration.reference_ms, *calibration.ratios.values()))
            ):
                return calibration
        return None

    def store_calibration(self, calibration: Calibration) -> None:
        self._write("calibration", {"calibration": asdict(calibration)})

    def latency(self, key: str, calibration: Calibration) -> Latency | None:
        """The stored latency of the network with this key, if measured under this calibration."""
        entry = self._read(key)
        if entry is None or entry.get("calibrated_at") != calibration.measured_at:
            return None
        with suppress(TypeError, KeyError, AttributeError):
            latency = Latency(**entry["latency"])
            numbers = (latency.ratio, latency.ratio_low, latency.ratio_high, latency.latency_ms)
            return latency if all(map(_is_duration, numbers)) else None
        return None

    def store(self, key: str, latency: Latency, calibration: Calibration) -> None:
        self._write(key, {"calibrated_at": calibration.measured_at, "latency": asdict(latency)})

    def _read(self, name: str) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            entry = load_json((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            if isinstance(entry, dict) and entry.get("bneck") == FORMAT:
                return entry
        return None

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with suppress(OSError, MachineError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self.folder / f"{name}.json", json.dumps({"bneck": FORMAT, **content}, indent=1))


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf
