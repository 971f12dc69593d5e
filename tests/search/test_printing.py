from pathlib import Path

from bneck.search.printing import opening, proposed_first
from bneck.search.session import default_workers

from .helpers import fake_run


def test_a_warm_start_names_the_networks_that_come_first(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    assert (
        proposed_first(run) == "--warm-start: no published network lies in space small and keeps the limits"
    )
    genes = {gene.name: gene.choices[0] for gene in run.settings.space.genes}
    for source in ("mobilenet_v2 at 16 px", "mnasnet_b1 at 8 px"):
        run.study.enqueue_trial(genes, user_attrs={"source": source})
    assert proposed_first(run) == "proposed first: mobilenet_v2 at 16 px, mnasnet_b1 at 8 px"


def test_the_opening_tells_space_data_limits_and_the_reference(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", limits={"macs": "2M", "latency": "0.5x"}, trials=9)
    words = opening(run)
    assert words.startswith(
        f"{run.folder}: 9 networks of space small on digits; macs <= 2M, latency <= 0.5x; "
    )
    assert f"{run.settings.latency.reference} takes 2 ms here ({run.settings.latency.backend})" in words


def test_a_gpu_has_one_worker(tmp_path: Path) -> None:
    assert default_workers(fake_run(tmp_path, torch_device="cuda")) == 1
    assert default_workers(fake_run(tmp_path, torch_device="cpu")) >= 1
