"""One search of a landscape as a cached job."""

from pathlib import Path

from threadpoolctl import threadpool_limits

from ..job_cache import Job, Result
from .landscapes import landscape, landscape_version
from .peers import GP, SAMPLERS, sampler_version

GP_EVALUATIONS = 200
GP_WEIGHT = 100.0


def proposed(table: Path, name: str, sampler: str, seed: int, evaluations: int) -> Result:
    """Evaluations of a sampler in order, on one thread."""
    with threadpool_limits(1):
        evaluations_ = SAMPLERS[sampler](landscape(name, table), seed, evaluations)
    return {"evaluations": [list(each) for each in evaluations_]}


def job(table: Path, name: str, sampler: str, seed: int, evaluations: int) -> Job:
    """GP gets fewer evaluations: it takes seconds per proposal."""
    count = min(evaluations, GP_EVALUATIONS) if sampler == GP else evaluations
    words = (landscape_version(name, table), sampler_version(sampler), f"{count} evaluations", f"seed {seed}")
    return Job(
        "; ".join(words), proposed, (table, name, sampler, seed, count), GP_WEIGHT if sampler == GP else 1
    )
