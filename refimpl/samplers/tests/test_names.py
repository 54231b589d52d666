"""Samplers by name and as dictionaries. Names, settings and dictionaries are those of KerasHub 0.32.0."""

import json

import pytest

from refimpl import errors, samplers

DEFAULTS = {
    "greedy": ("GreedySampler", {"temperature": 1.0}),
    "top_k": ("TopKSampler", {"temperature": 1.0, "k": 5, "seed": None}),
    "top_p": ("TopPSampler", {"temperature": 1.0, "p": 0.1, "k": None, "seed": None}),
    "random": ("RandomSampler", {"temperature": 1.0, "seed": None}),
    "beam": ("BeamSampler", {"temperature": 1.0, "num_beams": 5, "return_all_beams": False}),
    "contrastive": ("ContrastiveSampler", {"temperature": 1.0, "k": 5, "alpha": 0.6}),
    "speculative": (
        "SpeculativeSampler",
        {"temperature": 1.0, "num_speculative_tokens": 5, "base_sampler": None, "seed": None},
    ),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_names_and_defaults(name):
    class_name, config = DEFAULTS[name]
    sampler = samplers.get(name)
    assert type(sampler) is getattr(samplers, class_name)
    assert sampler.get_config() == config
    described = samplers.serialize(sampler)
    assert described == {
        "module": f"keras_hub.src.samplers.{name}_sampler",
        "class_name": class_name,
        "config": config,
        "registered_name": f"keras_hub>{class_name}",
    }
    for form in (f"keras_hub>{class_name}", class_name, name):
        assert type(samplers.get({"class_name": form, "config": config})) is type(sampler)
    assert type(samplers.get({"class_name": name})) is type(sampler)
    assert samplers.get(type(sampler)).get_config() == config
    assert samplers.get(sampler) is sampler


@pytest.mark.parametrize(
    "sampler",
    [
        samplers.GreedySampler(temperature=0.5),
        samplers.TopKSampler(k=3, seed=9, temperature=0.2),
        samplers.TopPSampler(p=0.3, k=4, seed=3, temperature=0.5),
        samplers.RandomSampler(seed=1),
        samplers.BeamSampler(num_beams=2, return_all_beams=True),
        samplers.ContrastiveSampler(k=2, alpha=0.1),
        samplers.SpeculativeSampler(2, samplers.TopPSampler(p=0.9, seed=2), seed=4),
    ],
)
def test_a_sampler_survives_json(sampler):
    again = samplers.deserialize(json.loads(json.dumps(samplers.serialize(sampler))))
    assert type(again) is type(sampler)
    assert again.get_config() == sampler.get_config()
    assert type(sampler).from_config(sampler.get_config()).get_config() == sampler.get_config()


def test_the_base_of_a_speculative_sampler_comes_back_as_a_sampler():
    sampler = samplers.SpeculativeSampler(base_sampler=samplers.TopKSampler(k=3))
    assert samplers.get(samplers.serialize(sampler)).base_sampler.k == 3


@pytest.mark.parametrize("name", ["", "Greedy", "topk", "beam_search", "nucleus", "TopKSampler "])
def test_an_unknown_name_is_refused_at_once(name):
    with pytest.raises(errors.SamplerNameError, match="top_k") as found:
        samplers.get(name)
    assert isinstance(found.value, KeyError)
    with pytest.raises(ValueError, match=r"samplers.get"):
        samplers.get({"class_name": f"keras_hub>{name}", "config": {}})


@pytest.mark.parametrize("wrong", [3, 1.5, ["greedy"], {"greedy"}])
def test_what_is_no_sampler_is_refused(wrong):
    with pytest.raises(errors.InputError):
        samplers.get(wrong)


@pytest.mark.parametrize("wrong", [{}, {"config": {}}, {"class_name": 3}, {"class_name": "top_k", "config": {"kk": 3}}])
def test_dictionaries_that_do_not_fit(wrong):
    with pytest.raises(errors.ConfigError):
        samplers.get(wrong)


def test_none_and_functions_stay_as_they_are():
    assert samplers.get(None) is None
    assert samplers.get(len) is len


def test_custom_objects():
    class Mine(samplers.TopKSampler):
        """A user's own."""

    described = samplers.serialize(Mine(k=2, seed=5))
    assert (described["module"], described["class_name"]) == (None, "Mine")
    again = samplers.deserialize(described, custom_objects={"Mine": Mine})
    assert type(again) is Mine
    assert again.get_config() == {"temperature": 1.0, "k": 2, "seed": 5}
