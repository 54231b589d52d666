"""What rotation and soft cap keep."""

import numpy as np
import pytest

from refimpl.autograd import ops

X = np.random.default_rng(0).standard_normal((2, 3, 2, 4))
ANGLES = np.random.default_rng(1).standard_normal((3, 2))


def test_a_rotation_keeps_lengths_and_a_cap_is_not_passed():
    turned = ops.rotate(X, np.cos(ANGLES), np.sin(ANGLES))
    assert np.linalg.norm(turned, axis=-1) == pytest.approx(np.linalg.norm(X, axis=-1))
    assert np.abs(ops.soft_cap(100 * X, 2.0)).max() <= 2.0
