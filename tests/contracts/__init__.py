"""Contract tests that every sampler, evaluator, latency backend and data set must pass.

Installed as `bneck.testing`. A third party derives a test class and names its object:

    from bneck.testing import SamplerContract

    class TestAnnealing(SamplerContract):
        @pytest.fixture
        def sampler(self):
            return "my_package.samplers:Annealing"
"""

from .data import DataContract
from .evaluator import EvaluatorContract
from .latency_backend import LatencyBackendContract
from .sampler import SamplerContract

__all__ = ["DataContract", "EvaluatorContract", "LatencyBackendContract", "SamplerContract"]
