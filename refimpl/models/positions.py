"""Where a token stands: T5's buckets of distances, and rotation by the position.

Letters: B batch, S source length, T target length, H heads, D head width.
"""

import numpy as np

from refimpl.autograd import ops
from refimpl.models.attention import Array

BUCKETS = 32  # rows of a table of relative positions; KerasHub's T5 has no other number
MAX_DISTANCE = 128  # nor here


def relative_buckets(distances: np.ndarray, bidirectional: bool) -> np.ndarray:
    """The bucket of each distance, key position minus query position. Shapes: any -> the same, ints below 32.

    Half of the buckets are single distances, the others grow with the logarithm of the distance up to 128, from where
    on all are one. Bidirectional, the second 16 are for keys after the query; else keys after it are as at 0.

    Spec: models.t5.relative-buckets
    Source: Raffel et al. 2020, section 2.1
    """
    count = BUCKETS // 2 if bidirectional else BUCKETS
    behind = np.where(distances > 0, count, 0) if bidirectional else 0
    far = np.abs(distances) if bidirectional else np.maximum(-distances, 0)
    exact = count // 2
    growth = np.log(np.maximum(far, exact) / exact) / np.log(MAX_DISTANCE / exact)
    large = np.minimum(exact + (growth * (count - exact)).astype(np.int64), count - 1)
    return behind + np.where(far < exact, far, large)


def relative_bias(queries: int, keys: int, first: int, bidirectional: bool, table: Array) -> Array:
    """What attention adds to the scores of queries from position `first` on. Shapes: table (32, H) -> (H, T, S).

    Spec: models.t5.position-bias
    """
    distances = np.arange(keys) - (first + np.arange(queries))[:, None]
    return ops.transpose(ops.embed(table, relative_buckets(distances, bidirectional)), (2, 0, 1))
