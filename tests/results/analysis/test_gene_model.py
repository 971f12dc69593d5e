"""What the page and the command say of the choices: words by hand, and a run of a made-up truth."""

import math
import re
from pathlib import Path

import pytest

from bneck.results import Run
from bneck.results.analysis import importance
from bneck.results.analysis.ablation import Effect, EffectEstimate, GeneChange
from bneck.results.analysis.gene_model import GeneModel
from bneck.results.analysis.importance import Importance, Importances
from bneck.results.export.ablation import ablation_dict
from bneck.results.pages.ablation import ablation_values
from bneck.results.pages.search import report_html
from bneck.results.plots.ablation import effects_figure, importance_figure
from bneck.results.text.ablation import (
    effect_cells,
    gene_change_text,
    importance_rows,
    percentage_points_text,
    percents,
    ranked,
    statements,
    undecided_text,
    verdicts_by_choice,
)
from bneck.search_space import Genes

from ..example_choices import se_in_stage2, slow_5x5_in_stage3
from ..example_run import Row, example_run, genes, records, run_settings
from ..pages.test_search import Elements, words


def effect(
    location: str,
    gene_type: str,
    baseline: object,
    alternative: object,
    *delta_vs_front: float,
    step: int = 1,
) -> Effect:
    """Brings 0.8 points for 4% latency, and so much beyond the front."""
    gain, cost = EffectEstimate(0.008, 0.003, 0.014), EffectEstimate(0.04, 0.04, 0.04)
    gene_change = GeneChange(location, gene_type, baseline, alternative, step, ("gene",))  # type: ignore[arg-type]
    return Effect(
        gene_change,
        12,
        {"accuracy": gain, "latency": cost, "macs": cost, "params": cost},
        EffectEstimate(*delta_vs_front),
    )


PAYS = effect("stage3", "attention", "none", "se", 0.006, 0.001, 0.012)
PAYS_MORE = effect("stage2", "attention", "none", "se", 0.009, 0.004, 0.014)
PAYS_NOT = effect("stem", "activation", "relu", "hardswish", -0.005, -0.008, -0.002)
UNTOLD = effect("stage1", "attention", "none", "se", 0.001, -0.004, 0.006)
WIDTH = effect("stage1", "out", 8, 16, 0.005, 0.0005, 0.01)
ALL = [PAYS, PAYS_MORE, PAYS_NOT, UNTOLD, WIDTH]


def judged_by(run_folder: Path, count: int) -> Run:
    """A run whose networks have the made-up truth."""

    def row(own: Genes) -> Row:
        return Row("complete", se_in_stage2(own), 0.01 * math.exp(slow_5x5_in_stage3(own)))

    return example_run(run_folder, [row(genes(number)) for number in range(count)])


# ------------------------------------------------------------------------------------------- words


def test_changes_are_told_with_their_intervals() -> None:
    assert percentage_points_text(EffectEstimate(0.008, 0.003, 0.014)) == "+0.8 (0.3 to 1.4)"
    assert percentage_points_text(EffectEstimate(-0.0021, -0.0045, 0.0003)) == "-0.21 (-0.45 to 0.03)"
    assert percents(EffectEstimate(0.04, 0.04, 0.04)) == "+4%"
    assert percents(EffectEstimate(-0.12, -0.15, -0.09)) == "-12% (-15 to -9)"
    assert percents(EffectEstimate(-0.001, -0.001, -0.001)) == "0%"


def test_a_switch_is_told_as_people_say_it() -> None:
    assert gene_change_text(PAYS.gene_change) == "SE in stage 3"
    assert gene_change_text(PAYS_NOT.gene_change) == "h-swish for ReLU in the stem"
    assert gene_change_text(GeneChange("all stages", "kernel", 3, 5, 1, ())) == "5×5 for 3×3 in all stages"
    assert gene_change_text(GeneChange("images", "resolution", 16, 24, 1, ())) == "resolution 16 → 24"
    assert gene_change_text(WIDTH.gene_change) == "channels 8 → 16 in stage 1"


def test_statements_are_of_what_is_told_the_surest_first() -> None:
    texts = statements(ALL, "latency")
    assert [text.partition(" by ")[0] for text in texts] == [
        "SE in stage 2: above the front",
        "H-swish for ReLU in the stem: below the front",
        "SE in stage 3: above the front",
        "Channels 8 → 16 in stage 1: above the front",
    ]
    assert ["0.9 pp (0.4 to 1.4)" in texts[0], "0.50 pp (0.20 to 0.80)" in texts[1]] == [True, True]
    assert all("+0.8 pp (0.3 to 1.4) accuracy for +4% latency" in text for text in texts)
    again = effect("stage2", "attention", "none", "eca", 0.009, 0.003, 0.014)
    assert len(statements([*ALL, again], "latency")) == 4


def test_where_a_choice_pays_is_answered_choice_by_choice() -> None:
    assert verdicts_by_choice(ALL) == [
        ("SE", "above the front in stages 3 and 2; undecided in stage 1"),
        ("h-swish for ReLU", "below the front in the stem"),
    ]
    assert undecided_text(ALL).startswith("4 of 5 changes")


def test_a_row_has_all_that_is_known() -> None:
    without = Effect(PAYS.gene_change, 12, {name: PAYS.changes[name] for name in ("accuracy", "macs")}, None)
    same = ["stage 3", "attention none → SE", "+0.8 (0.3 to 1.4)"]
    assert effect_cells(PAYS) == [*same, "+4%", "+4%", "+4%", "+0.6 (0.1 to 1.2)", "yes"]
    assert effect_cells(without) == [*same, "", "+4%", "", "", "undecided"]


def made() -> Importances:
    def gene(name: str, model: float, forest: float) -> Importance:
        return Importance(name, {"accuracy": model}, {"accuracy": forest})

    two = (gene("stem.out", 0.25, 0.5), gene("stage1.kernel", 0.75, 0.1))
    return Importances(two, (Importance("stage1", {"accuracy": 0.75}, {}),), (), 100, 60)


def test_ranks_that_disagree_are_visible() -> None:
    assert importance_rows(made()) == [
        ["stem.out", "25% (2)", "50% (1)"],
        ["stage1.kernel", "75% (1)", "10% (2)"],
        ["all of stage 1", "75%", ""],
    ]
    assert ranked(made().genes, "accuracy", "total_effect") == {"stage1.kernel": 1, "stem.out": 2}
    assert ranked(made().genes, "latency", "total_effect") == {}
    bars = {
        bar.name: dict(zip(bar.y, zip(bar.x, bar.text, strict=True), strict=True))
        for bar in importance_figure(made(), "accuracy").data
    }
    assert bars["total effect"]["stage1.kernel"] == (75.0, "1")
    assert bars["fANOVA"]["stem.out"] == (pytest.approx(100 * 0.5 / 0.6), "1")


def test_the_map_colours_only_what_is_told() -> None:
    dull = Effect(
        UNTOLD.gene_change,
        12,
        dict(UNTOLD.changes) | {"accuracy": EffectEstimate(0.002, -0.001, 0.005)},
        UNTOLD.delta_vs_front,
    )
    [drawn] = effects_figure([PAYS, PAYS_NOT, dull], "latency").data
    assert list(drawn.x) == ["stage 3", "stem", "stage 1"]
    assert list(drawn.y) == ["attention none → SE", "activation ReLU → h-swish"]
    assert [list(row) for row in drawn.z] == [[0.8, None, 0.0], [None, 0.8, None]]
    assert drawn.text[0][0] == "<b>+0.80</b><br>+4% ✓"
    assert drawn.text[1][1] == "<b>+0.80</b><br>+4% ✗"
    assert drawn.text[0][2] == "+0.20<br>+4%"


def test_widths_that_differ_by_stage_share_a_row_of_the_map() -> None:
    alternative = effect("stage2", "out", 16, 24, 0.005, 0.0005, 0.01)
    assert list(effects_figure([WIDTH, alternative], "latency").data[0].y) == ["channels, 1 step up"]
    assert list(effects_figure([WIDTH], "latency").data[0].y) == ["channels 8 → 16"]


# ------------------------------------------------------------------------------------ a whole run


def test_too_few_networks_are_told_so(tmp_path: Path) -> None:
    run = Run(tmp_path, run_settings())
    judged = [record for record in records() if record.state == "complete"]
    values = ablation_values(run, judged)
    assert values and "20" in values["too_few"] and values["trained"] == 4
    assert ablation_values(run, []) is None


@pytest.mark.slow
def test_the_page_tells_where_se_pays_and_is_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importance, "N_NETWORKS", 100)
    run = judged_by(tmp_path / "run", 45)
    page = report_html(run)
    assert re.search(r"SE in stage 2: above the front by .*?; \+(1\.9|2\.0)", words(page))
    assert {"ablation", "importance"} <= set(Elements(page).ids)
    assert Elements(page).loading == []
    assert report_html(Run.open(run.folder)) == page


@pytest.mark.slow
def test_programs_get_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "N_NETWORKS", 100)
    run = judged_by(tmp_path / "run", 30)
    model = GeneModel.of(run, run.completed_records())
    assert model
    found = ablation_dict(model, ALL, importance.gene_importances(model))
    assert (found["networks"], found["cost_quantity"]) == (30, "latency")
    first = found["ablation"][0]
    assert (first["location"], first["alternative"], first["above_front"]) == ("stage3", "se", True)
    assert first["changes"]["accuracy"] == {"value": 0.008, "low": 0.003, "high": 0.014}
    assert len(found["importance"]["genes"]) == 24


@pytest.mark.slow
def test_genes_are_those_of_the_trials_in_the_order_of_the_space(tmp_path: Path) -> None:
    run = judged_by(tmp_path / "run", 21)
    model = GeneModel.of(run, run.completed_records())
    assert model
    assert list(model.genes) == [genes(number) for number in range(21)]
    assert list(model.genes[0]) == [gene.name for gene in run_settings().space.genes]
    assert model.quantities == ("accuracy", "latency", "macs", "params")
