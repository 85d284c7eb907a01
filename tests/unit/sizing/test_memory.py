"""GPU memory of models: table 13 as published, the rule of 2.1 GB a billion parameters, the limits of table 3."""

from __future__ import annotations

import pytest

from rackwright import catalog
from rackwright.sizing.need import kinds_of, linked_gpus, rule_deviation, rule_memory_gb

TABLE_13 = {
    "nemo-gpt-345m": (3.1, "BF16"),
    "nemo-gpt-1.3b": (4.1, "BF16"),
    "nemo-gpt-5b": (12.4, "BF16"),
    "nemo-gpt-20b": (42.4, "BF16"),
    "bloom-7b": (16.6, "BF16"),
    "stable-diffusion-2.0": (7.9, "FP16"),
    "llama-2-7b": (14.2, "FP16"),
    "llama-2-13b": (29.5, "FP16"),
    "llama-2-70b": (154.7, "FP16"),
}
# What the rule says against what was measured, as a part of the latter.
WITHIN_5_PERCENT = {"nemo-gpt-20b": -0.009, "llama-2-7b": 0.035, "llama-2-70b": -0.0498}
FURTHER_OFF = {
    "nemo-gpt-345m": -0.766,
    "nemo-gpt-1.3b": -0.334,
    "nemo-gpt-5b": -0.153,
    "bloom-7b": -0.114,
    "llama-2-13b": -0.075,
}
MODELS = catalog.builtin().models


@pytest.mark.parametrize("key", TABLE_13)
def test_a_measured_model_has_table_13s_memory_and_precision(key: str) -> None:
    model = MODELS[key]
    assert (model.memory_gb, model.precision) == TABLE_13[key]
    assert model.memory_measured


def test_no_other_model_claims_to_be_measured() -> None:
    assert {key for key, model in MODELS.items() if model.memory_measured} == set(TABLE_13)


@pytest.mark.parametrize(("key", "deviation"), [*WITHIN_5_PERCENT.items(), *FURTHER_OFF.items()])
def test_the_rule_against_the_measured(key: str, deviation: float) -> None:
    found = rule_deviation(MODELS[key])
    assert found == pytest.approx(deviation, abs=0.001)
    assert (abs(found) <= 0.05) == (key in WITHIN_5_PERCENT)


def test_the_rule_has_nothing_to_say_of_an_image_model() -> None:
    assert rule_deviation(MODELS["stable-diffusion-2.0"]) is None


@pytest.mark.parametrize(("key", "memory"), [("nemo-gpt-2b-001", 4.2), ("bloom-175b", 367.5)])
def test_an_unmeasured_model_has_the_rules_memory_and_says_so(key: str, memory: float) -> None:
    model = MODELS[key]
    assert model.parameters_b is not None
    assert model.memory_gb == pytest.approx(rule_memory_gb(model.parameters_b)) == pytest.approx(memory)
    assert rule_deviation(model) is None


def test_table_3() -> None:
    """Total memory, and the largest model, of each server with H100s."""
    builtin = catalog.builtin()
    found = {
        profile: (option.counts[0] * 80, linked_gpus(option) * builtin.gpus[option.product].memory_gb)
        for profile, option in kinds_of(builtin)
        if option.product != "l40"
    }
    assert found == {"r760xa": (320, 160), "xe8640": (320, 320), "xe9680": (640, 640)}


def test_the_examples_of_table_3_fit_where_it_names_them_and_nowhere_else_if_large() -> None:
    everywhere = ("r760xa", "xe8640", "xe9680")
    for key in ("nemo-gpt-345m", "nemo-gpt-1.3b", "nemo-gpt-2b-001", "nemo-gpt-5b", "nemo-gpt-20b"):
        assert MODELS[key].servers == everywhere
    assert MODELS["llama-2-7b"].servers == MODELS["llama-2-13b"].servers == everywhere
    assert MODELS["llama-2-70b"].servers == MODELS["bloom-175b"].servers == ("xe9680",)
    assert MODELS["llama-2-70b"].min_gpus == 8
