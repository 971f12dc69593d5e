"""Settings for all tests."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("bneck", deadline=None, derandomize=True)
settings.load_profile("bneck")
