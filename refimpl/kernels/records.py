"""Architectures as kernels see them: what stands where in a layer, by the names of the architecture's layout.

An architecture that the kernels can run is one more record here, and a line in `eligibility`.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from refimpl.kernels import weights
from refimpl.kernels.row_ops import GELU, GELU_TANH, RELU, SILU
from refimpl.kernels.weights import NO_MATRIX, NO_VECTOR, Array, Block, Dense, Kind, Model, Stack, listed, typed

_FAR = int(np.iinfo(np.int32).max)  # farther than any position
ACTIVATIONS = {"relu": RELU, "gelu": GELU, "gelu_approximate": GELU_TANH, "silu": SILU}


class Record:
    """Reads a backbone's weights by name. What is put in their place during a call is for the next one."""

    activation, epsilon = GELU, 1e-5
    wide: tuple[str, ...]  # the projections of the feed-forward from the rows, the gate as the second
    narrow: str  # and the one back

    def __init__(self, backbone: Any) -> None:
        self.backbone, self.params = backbone, dict(backbone.params)
        self.scope = type(backbone.scope)(self.params)

    def norms(self, layer: str, part: str) -> dict[str, Array]:
        """The norms around a part of a layer, by their names in `Block`."""
        raise NotImplementedError

    def model(self) -> Model:
        """All that kernels read."""
        return Model(self._stack("encoder"), self._stack("decoder"), self.scope)

    def array(self, name: str) -> Array:
        """A weight."""
        return typed(self.params[name])

    def _dense(self, path: str, axes: int = 1) -> Dense:
        """A projection by outputs, heads joined, with its bias if it has one; no copy if it lies so, as a rule. So many
        axes of the kernel are inputs.
        """
        kernel, bias = self.params[f"{path}/kernel"], NO_VECTOR
        if f"{path}/bias" in self.params:
            bias = self.array(f"{path}/bias").reshape(-1)
        return Dense(typed(kernel.reshape(prod(kernel.shape[:axes]), -1).T), bias)

    def _three(self, paths: Sequence[str]) -> tuple[Dense, Dense, Dense]:
        """Up to three projections."""
        first, second, third = (*map(self._dense, paths), Dense(), Dense())[:3]
        return first, second, third

    def _stack(self, side: str) -> Stack:
        own, backbone = self.backbone.attention_of(side), self.backbone
        scalars = (np.float32(x) for x in (own.scale, self.epsilon, own.soft_cap or 0.0))
        kind = Kind(own.heads, own.cached_heads, own.head_dim, self.activation, *scalars)

        def bias(span: int) -> Array:
            found = backbone.position_bias(self.scope, side, 1, 2 * span + 1, span)
            return np.zeros((kind.heads, 0), np.float32) if found is None else np.ascontiguousarray(found[:, 0])

        def rotary(length: int) -> Array:
            if own.frequencies is None:
                return NO_MATRIX
            angles = np.arange(length)[:, None] * np.pad(own.frequencies, (0, kind.depth // 2 - len(own.frequencies)))
            return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

        found = [block for n in range(backbone.depth(side)) for block in self._blocks(side, n)]
        sources = [block.inputs[1:] for block in found if block.part == weights.SOURCE]
        products = sum(each.kernel.size for block in found for each in (*block.inputs, block.output))
        inner = found[-1].output.kernel.shape[1]
        return Stack(listed(found), sources, kind, backbone.width(side), inner, products, bias, rotary)

    def _blocks(self, side: str, n: int) -> list[Block]:
        """Those of a layer."""
        path, names = self.backbone.layer_name.format(side, n), self.backbone.attention_of(side).names

        def attention(part: int, name: str, reach: int | None = None) -> Block:
            inputs = self._three([f"{path}/{name}/{x}" for x in names[:3]])
            output = self._dense(f"{path}/{name}/{names[3]}", -1)
            return Block(part, n, _FAR if reach is None else reach, inputs, output, **self.norms(path, name))

        inputs, output = self._three([f"{path}/{name}" for name in self.wide]), self._dense(f"{path}/{self.narrow}")
        last = Block(weights.FEED_FORWARD, n, _FAR, inputs, output, **self.norms(path, "feedforward"))
        source = [attention(weights.SOURCE, "cross_attention")] if side == "decoder" else []
        return [attention(weights.OWN, "self_attention", self.backbone.reach(side, n)), *source, last]


class Bart(Record):
    """Norms after each sum, biases in all projections."""

    wide, narrow = ("feedforward_intermediate_dense",), "feedforward_output_dense"

    def norms(self, layer: str, part: str) -> dict[str, Array]:
        """A layer norm."""
        path = f"{layer}/{part}_layer_norm"
        return {"after": np.stack([self.array(f"{path}/gamma"), self.array(f"{path}/beta")])}


class T5(Record):
    """RMS norms before each block, biases by distance, no other biases."""

    narrow = "output_projector"

    def __init__(self, backbone: Any) -> None:
        super().__init__(backbone)
        self.activation, self.epsilon = ACTIVATIONS[backbone.activation], backbone.layer_norm_epsilon
        self.wide = ("input_projector", "gate_projector")[: 1 + backbone.use_gated_activation]

    def norms(self, layer: str, part: str) -> dict[str, Array]:
        """The gain."""
        name = "layer_norm" if part == "feedforward" else f"{part}_layer_norm"
        return {"before": self.array(f"{layer}/{name}/weight")[None]}


class T5Gemma(Record):
    """RMS norms before and within each block, rotary positions, shared keys, windows, a cap on scores."""

    wide, narrow = ("mlp/gate_proj", "mlp/up_proj"), "mlp/down_proj"

    def __init__(self, backbone: Any) -> None:
        super().__init__(backbone)
        self.activation, self.epsilon = ACTIVATIONS[backbone.hidden_activation], backbone.rms_norm_eps

    def norms(self, layer: str, part: str) -> dict[str, Array]:
        """The gain, of which the file keeps what is above 1."""
        one, two = (self.array(f"{layer}/{where}_{part}_norm/scale") for where in ("pre", "post"))
        return {"before": 1.0 + one[None], "within": 1.0 + two[None]}


class Moonshine(Record):
    """Layer norms before each block; gates behind what they gate; neighbours turn, and not all of a head.

    Kernels turn halves, so that queries and keys are laid with the first number of each pair before all second ones.
    """

    wide, narrow = ("feedforward/dense_1",), "feedforward/dense_2"

    def norms(self, layer: str, part: str) -> dict[str, Array]:
        """The gain; a shift of zeros says that it is no RMS norm."""
        gain = self.array(f"{layer}/{part}_layer_norm/gamma")
        return {"before": np.stack([gain, np.zeros_like(gain)])}

    def _stack(self, side: str) -> Stack:
        gated, own = self.backbone.config.side(side, "use_swiglu_activation"), self.backbone.attention_of(side)
        self.activation, pairs, half = SILU if gated else GELU, len(own.frequencies), own.head_dim // 2
        ahead = [*range(0, 2 * pairs, 2), *range(2 * pairs, pairs + half)]
        order = np.array([*ahead, *(n for n in range(own.head_dim) if n not in ahead)])
        self.order = (np.arange(own.heads)[:, None] * own.head_dim + order).reshape(-1)
        return super()._stack(side)

    def _three(self, paths: Sequence[str]) -> tuple[Dense, Dense, Dense]:
        first, second, third = super()._three(paths)
        if paths[0].endswith("self_attention/query"):
            first, second = (Dense(*(x[self.order] if len(x) else x for x in each)) for each in (first, second))
        elif paths[0].endswith("dense_1") and self.activation == SILU:
            second, first = (Dense(*half) for half in zip(*(np.split(x, 2) for x in first), strict=True))
        return first, second, third
