"""Latencies measured before, in plain files: one folder a device and panel, one file a network."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .device import Device
from .measurement import Latency
from .reference_panel import Calibration, Panel

FORMAT = "latency/1"


def cache_folder() -> Path:
    """`$BNECK_CACHE`, or `bneck` in the user's cache folder."""
    if given := os.environ.get("BNECK_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bneck"


@dataclass(frozen=True)
class LatencyCache:
    """What is known of networks on one device, held against one panel.

    A file that cannot be read, or is of another calibration, counts as missing; one that cannot be
    written is left out: the cache saves time and holds nothing that cannot be measured again.
    """

    folder: Path

    @classmethod
    def at(cls, device: Device, panel: Panel) -> "LatencyCache":
        """The cache for a device and a panel, with a file that says what they are."""
        cache = cls(cache_folder() / "latency" / f"{device.key}-{panel.key}")
        networks = {name: network.key for name, network in panel.networks.items()}
        cache._write("device", {"device": asdict(device), "unit": panel.unit, "panel": networks})
        return cache

    def calibration(self) -> Calibration | None:
        known = self._read("calibration")
        with suppress(TypeError, KeyError):
            return Calibration(**known["calibration"]) if known else None
        return None

    def keep_calibration(self, calibration: Calibration) -> None:
        self._write("calibration", {"calibration": asdict(calibration)})

    def latency(self, key: str, calibration: Calibration) -> Latency | None:
        """What was measured of the network with this key under this calibration."""
        known = self._read(key)
        if known is None or known.get("calibrated") != calibration.measured:
            return None
        with suppress(TypeError, KeyError):
            return Latency(**known["latency"])
        return None

    def keep(self, key: str, latency: Latency, calibration: Calibration) -> None:
        self._write(key, {"calibrated": calibration.measured, "latency": asdict(latency)})

    def _read(self, name: str) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            known = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            if isinstance(known, dict) and known.get("bneck") == FORMAT:
                return known
        return None

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        unfinished = self.folder / f"{name}.{os.getpid()}.part"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"bneck": FORMAT, **content}, indent=1)
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(self.folder / f"{name}.json")
