"""Architectures in the notation of timm and Once-for-All, against their own counts."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torchvision.models

from bneck.search_space import (
    Architecture,
    FileFormatError,
    UnknownNameError,
    cost,
    load_architecture,
    published_architecture,
)
from bneck.search_space.reference_networks import TORCHVISION, torchvision_architecture

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "export.md"

# timm models/mobilenetv3.py, `mobilenetv3_large_100`
LARGE = [
    ["ds_r1_k3_s1_e1_c16_nre"],
    ["ir_r1_k3_s2_e4_c24_nre", "ir_r1_k3_s1_e3_c24_nre"],
    ["ir_r3_k5_s2_e3_c40_se0.25_nre"],
    ["ir_r1_k3_s2_e6_c80", "ir_r1_k3_s1_e2.5_c80", "ir_r2_k3_s1_e2.3_c80"],
    ["ir_r2_k3_s1_e6_c112_se0.25"],
    ["ir_r3_k5_s2_e6_c160_se0.25"],
    ["cn_r1_k1_s1_c960"],
]
# timm models/efficientnet.py, `efficientnet_b0` and `semnasnet_100`
B0 = [
    ["ds_r1_k3_s1_e1_c16_se0.25"],
    ["ir_r2_k3_s2_e6_c24_se0.25"],
    ["ir_r2_k5_s2_e6_c40_se0.25"],
    ["ir_r3_k3_s2_e6_c80_se0.25"],
    ["ir_r3_k5_s1_e6_c112_se0.25"],
    ["ir_r4_k5_s2_e6_c192_se0.25"],
    ["ir_r1_k3_s1_e6_c320_se0.25"],
]
A1 = [
    ["ds_r1_k3_s1_e1_c16_noskip"],
    ["ir_r2_k3_s2_e6_c24"],
    ["ir_r3_k5_s2_e3_c40_se0.25"],
    ["ir_r4_k3_s2_e6_c80"],
    ["ir_r2_k3_s1_e6_c112_se0.25"],
    ["ir_r3_k5_s2_e6_c160_se0.25"],
    ["ir_r1_k3_s1_e6_c320"],
]


def read(folder: Path, **config: Any) -> Architecture:
    path = folder / "network.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return load_architecture(path)


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision_have_its_parameters_and_macs(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    architecture = torchvision_architecture(name)
    assert cost(architecture).params == weights.meta["num_params"]
    assert cost(architecture).macs / 1e9 == pytest.approx(weights.meta["_ops"], rel=0.01, abs=0.001)
    assert [architecture.resolution_px] == weights.transforms().crop_size


def test_an_arch_def_of_mobilenet_v3_is_torchvisions_network(tmp_path: Path) -> None:
    assert read(tmp_path, arch_def=LARGE) == published_architecture("mobilenet_v3_large")


def test_arch_defs_of_efficientnet_and_mnasnet(tmp_path: Path) -> None:
    b0 = read(tmp_path, arch_def=B0, model="efficientnet", act_layer="swish")
    assert b0 == published_architecture("efficientnet_b0")
    a1 = read(tmp_path, arch_def=A1, model="efficientnet")
    assert cost(a1) == cost(published_architecture("mnasnet_a1"))  # whose gate is hard
    half = read(tmp_path, arch_def=A1, model="efficientnet", channel_multiplier=0.5, num_features=1280)
    assert cost(half) == cost(published_architecture("mnasnet_a1@0.5"))


@pytest.mark.extra
def test_a_config_of_once_for_all_is_timms_network(tmp_path: Path) -> None:
    ks, e, d = [3, 5, 7, 3] * 5, [6, 4, 3, 6] * 5, [2, 3, 4, 2, 3]
    ours = read(tmp_path, ks=ks, e=e, d=d, r=[176])
    assert (ours.resolution_px, len(ours.blocks)) == (176, 1 + sum(d))
    # 3 x 3 x 3 x 16, then the first block, then stage 1: 16 -> 24 with 6 x 16 and 4 x 24 channels
    assert [(block.kernel, block.expanded, block.out) for block in ours.blocks[:3]] == [
        *[(3, 16, 16), (3, 96, 24), (5, 96, 24)]
    ]
    timm = pytest.importorskip("timm", reason="extra: bneck[timm]")
    builder = timm.models._efficientnet_builder
    squeeze_excite = timm.models._efficientnet_blocks.SqueezeExcite

    stages = ((24, 2, 0, "re"), (40, 2, 1, "re"), (80, 2, 0, "hs"), (112, 1, 1, "hs"), (160, 2, 1, "hs"))
    arch_def = [["ds_r1_k3_s1_c16_nre"]]
    for number, (out, stride, se, act) in enumerate(stages):
        places = range(4 * number, 4 * number + d[number])
        tail = f"_c{out}{'_se0.25' if se else ''}_n{act}"
        arch_def.append([f"ir_r1_k{ks[n]}_s{stride if n % 4 == 0 else 1}_e{e[n]}{tail}" for n in places])
    model = timm.models.mobilenetv3.MobileNetV3(
        builder.decode_arch_def([*arch_def, ["cn_r1_k1_s1_c960_nhs"]]),
        head_bias=False,
        se_layer=partial(squeeze_excite, rd_round_fn=builder.round_channels),
    )
    assert cost(ours).params == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("arch_def", "place", "problem"),
    [
        ([["ir_r1_k3_s1_e1_c16"], ["cn_r1_k1_s1_c96"]], "arch_def[1][1]", "keeps a 1x1 expansion at ratio 1"),
        ([["uir_r1_a3_k3_s2_e4_c48"]], "arch_def[1][1]", "must be a block of type ir, ds, cn, got uir"),
        ([["ir_r1_k3_s2_e6_c24_cc4"]], "arch_def[1][1]", "bneck's blocks have no cc4"),
        ([["ir_r1_k3.5_s2_e6_c24"]], "arch_def[1][1]", "k must be a whole number, got 3.5"),
        (
            [["ir_r1_k3_s2_e6_c24"], ["ir_r1_k4_s2_e6_c24"]],
            "arch_def[2][1]",
            "kernel must be 3, 5 or 7, got 4",
        ),
        ([["ir_r1_k3_s2_e6"]], "arch_def[1][1]", "needs c, as in ir_r1_k3_s2_e4_c24"),
        ([["ds_r1_k3_s1_c16_noskip"], ["cn_r1_k1_s1_c96"]], "arch_def[1][1]", "add their input"),
        ([["ir_r1_k3_s2_e6_c24"]], "arch_def", "ends with a 1x1 convolution"),
    ],
)
def test_blocks_that_cannot_be_expressed_are_named(
    arch_def: list[list[str]], place: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(FileFormatError) as error:
        read(tmp_path, arch_def=arch_def)
    assert f": {place}: " in str(error.value)
    assert problem in str(error.value)


def test_the_example_of_the_guide_is_read(tmp_path: Path) -> None:
    example = GUIDE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "network.yaml").write_text(example, encoding="utf-8")
    architecture = load_architecture(tmp_path / "network.yaml")
    blocks = published_architecture("mnasnet_a1").blocks[:6]
    assert architecture.blocks[:3] == blocks[:3]
    assert architecture.blocks[3:] == tuple(replace(block, gate="sigmoid") for block in blocks[3:])


def test_other_faults_of_these_files_are_named(tmp_path: Path) -> None:
    for config, problem in (
        ({"ks": [3] * 20, "e": [6] * 20, "d": [4] * 4}, "d: must have 5 values, got 4"),
        ({"ks": [3] * 20, "e": [6] * 20, "d": [4, 4, 4, 4, 5]}, "d[5]: must be from 1 to 4, got 5"),
        ({"arch_def": LARGE, "model": "resnet"}, "model: must be mobilenetv3, efficientnet, got resnet"),
        ({"arch_def": LARGE, "act_layer": "mish"}, "act_layer: must be re, r6"),
    ):
        with pytest.raises(FileFormatError) as error:
            read(tmp_path, **config)
        assert problem in str(error.value)
    with pytest.raises(UnknownNameError, match="unknown network of torchvision 'resnet18'"):
        torchvision_architecture("resnet18")
