"""The names of the tensors inside an encoder-decoder, a short fixed list that all architectures share.

`<side>.embed` is what enters the first norm or layer, `<side>.layer.<n>.<block>` what a block gives before it is added
to the stream, `..._norm` what a norm gives (`<side>.final_norm` the one behind all layers), `<side>.position_bias`
what relative positions add to the scores of a stack, heads x queries x keys. Where the norms stand is the
architecture's affair: the golden's `order` tells in which order the truth computes them.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

SIDES = ("encoder", "decoder")
BIAS = "position_bias"


class Recorder:
    """Collects tensors by name as a pass makes them, and replaces those that are `forced`.

    With every tensor forced to the truth's, each block works on the truth's input: what is then wrong with its output
    arises in the block itself.
    """

    def __init__(self, forced: Mapping[str, Any] | None = None) -> None:
        self.forced = forced or {}
        self.parts: dict[str, list[np.ndarray]] = {}
        self.failed = ""  # the block in which the pass ended with an error

    def seen(self, name: str, value: Any) -> Any:
        """Keep a tensor; returns what the pass goes on with."""
        array = np.asarray(value)
        self.parts.setdefault(name, []).append(array.copy())
        return np.asarray(self.forced[name]).astype(array.dtype) if name in self.forced else value

    @contextlib.contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Around what makes a tensor; of nested ones the inner is where an error arose."""
        try:
            yield
        except Exception:
            self.failed = self.failed or name
            raise

    def arrays(self) -> dict[str, np.ndarray]:
        """All tensors. What came in pieces is joined along the positions; a bias over the keys so far can't be."""
        fits = {name: parts for name, parts in self.parts.items() if len({part.shape[2:] for part in parts}) == 1}
        return {name: np.concatenate(parts, axis=1) for name, parts in fits.items()}
