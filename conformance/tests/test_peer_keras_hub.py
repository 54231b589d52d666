"""KerasHub's adapters beside each other. Run with `-m peers` and KERAS_BACKEND=jax."""

import os

import numpy as np
import pytest

from conformance.adapters import find
from conformance.suite.cases import GOLDEN

pytestmark = pytest.mark.peers
ASKED = {
    "encoder_token_ids": [[5, 9, 2, 1], [7, 2, 0, 0]],
    "encoder_padding_mask": [[True, True, True, True], [True, True, False, False]],
    "decoder_token_ids": [[2, 0, 6], [2, 4, 1]],
    "decoder_padding_mask": [[True, True, True], [True, True, False]],
}


@pytest.mark.parametrize("preset", ["bart_tiny", "t5_tiny"])
def test_a_pass_compiled_as_a_whole_gives_what_single_operations_give(preset: str) -> None:
    if os.environ.get("KERAS_BACKEND") != "jax":
        pytest.skip("JAX alone compiles a pass either way: run with KERAS_BACKEND=jax")
    single, whole = (find(name) for name in ("keras_hub", "conformance.adapters.keras_hub:OnJaxAsAWhole"))
    for adapter in (single, whole):
        adapter.load({"preset": str(GOLDEN / "presets" / preset)})
    for op in ("logits", "states"):
        one, other = (adapter.call(op, {"inputs": ASKED}) for adapter in (single, whole))
        assert sorted(one) == sorted(other)
        for key, array in one.items():
            np.testing.assert_allclose(np.asarray(other[key]), array, rtol=1e-4, atol=1e-5)
