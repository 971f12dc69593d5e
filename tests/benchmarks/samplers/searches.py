"""One search of a landscape as a cached job."""

from threadpoolctl import threadpool_limits

from ..job_cache import Job, Result
from .landscapes import Evaluator, Sources, landscape
from .peers import GP, OWN, SAMPLERS, search_key

GP_EVALUATIONS = 200  # it takes seconds per proposal
WEIGHTS = {GP: 100.0, OWN: 10.0}  # durations


def proposed(sources: Sources, name: str, sampler: str, noise: float, seed: int, evaluations: int) -> Result:
    """Evaluations of a sampler in order, on one thread."""
    with threadpool_limits(1):
        evaluator = Evaluator(landscape(name, sources), noise, seed)
        found = SAMPLERS[sampler](evaluator, evaluations)
    return {"evaluations": [list(each) for each in found]}


def job(sources: Sources, name: str, sampler: str, noise: float, seed: int, evaluations: int) -> Job:
    key = search_key(sources, name, sampler, noise, seed, evaluations)
    arguments = (sources, name, sampler, noise, seed, evaluations)
    return Job(key, proposed, arguments, WEIGHTS.get(sampler.split("-")[0], 1.0))
