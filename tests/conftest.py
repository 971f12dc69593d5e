"""Settings for all tests."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

pytest.register_assert_rewrite("bneck.testing")
torch.set_num_threads(1)
settings.register_profile("bneck", deadline=None, derandomize=True)
settings.load_profile("bneck")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Latencies are kept in a folder of this session; commands that a test starts inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BNECK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
