"""Sound and masks in short form, and the preset that hears, are what golden/README.md says."""

import h5py
import numpy as np
import pytest

from conformance.make.presets import LENGTHS, weights
from conformance.suite.cases import GOLDEN
from conformance.suite.signals import spelled_out


def value(number, i):
    """The recipe of golden/README.md with plain Python integers."""
    u = (i * 2654435761 + number * 2246822519 + 374761393) % 2**32
    u = ((u ^ (u >> 15)) * 2246822519) % 2**32
    u = ((u ^ (u >> 13)) * 3266489917) % 2**32
    return ((u ^ (u >> 16)) >> 8) / 2**23 - 1


def test_sound_is_spelled_out():
    short = {"number": 7, "lengths": [3, 2], "width": 4}
    (found,) = spelled_out([{"$sound": short}])
    assert found.dtype == np.float32
    assert found.tolist() == [
        [value(7, i) / 8 for i in range(3)] + [0.0],
        [value(8, i) / 8 for i in range(2)] + [0.0] * 2,
    ]
    quiet = spelled_out({"a": {"$sound": {**short, "scale": 0.5, "silent": [[0, 1, 2]], "channels": 2}}})["a"]
    assert quiet.shape == (2, 4, 2)
    assert quiet[0, :, 1].tolist() == [value(7, 0) / 2, 0.0, value(7, 2) / 2, 0.0]


def test_masks_are_spelled_out():
    found = spelled_out({"$mask": {"lengths": [3, 1], "width": 4, "holes": [[0, 1, 2]]}})
    assert found == [[True, False, True, False], [True, False, False, False]]


@pytest.mark.parametrize("name", sorted(LENGTHS))
def test_the_presets_weights_come_from_the_recipe(name):
    found = {}
    with h5py.File(GOLDEN / "presets" / name / "model.weights.h5") as file:
        file.visititems(lambda place, node: found.update({place: node[...]} if hasattr(node, "shape") else {}))
    made = weights(name, {place: array.shape for place, array in found.items()})
    assert all(np.array_equal(found[place], made[place].astype("float32")) for place in made)
    assert len(made) > 20
