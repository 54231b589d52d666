"""The names of the tensors inside an encoder-decoder, a short fixed list that all architectures share.

`<side>.embed` is what enters the first norm or layer, `<side>.layer.<n>.<block>` what a block gives before it is added
to the stream, `..._norm` what a layer norm gives. Where the norms stand is the architecture's affair: the golden's
`order` tells in which order the truth computes them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

SIDES = {
    "encoder": ("self_attention", "feed_forward"),
    "decoder": ("self_attention", "cross_attention", "feed_forward"),
}


def post_norm_order(layers: int) -> list[str]:
    """The order of an architecture that normalizes after adding, as BART does."""
    names = []
    for side, blocks in SIDES.items():
        names += [f"{side}.embed", f"{side}.embed_norm"]
        for n in range(layers):
            names += [f"{side}.layer.{n}.{block}{end}" for block in blocks for end in ("", "_norm")]
    return [*names, "logits"]


class Recorder:
    """Collects tensors by name as a pass makes them, and replaces those that are `forced`.

    With every tensor forced to the truth's, each block works on the truth's input: what is then wrong with its output
    arises in the block itself.
    """

    def __init__(self, forced: Mapping[str, Any] | None = None) -> None:
        self.forced = forced or {}
        self.parts: dict[str, list[np.ndarray]] = {}

    def seen(self, name: str, value: Any) -> Any:
        """Keep a tensor; returns what the pass goes on with."""
        array = np.asarray(value)
        self.parts.setdefault(name, []).append(array.copy())
        return np.asarray(self.forced[name]).astype(array.dtype) if name in self.forced else value

    def arrays(self) -> dict[str, np.ndarray]:
        """All tensors; what came in pieces is joined along the positions."""
        return {name: np.concatenate(parts, axis=1) for name, parts in self.parts.items()}
