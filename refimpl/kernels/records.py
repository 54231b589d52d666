"""Architectures as kernels see them: what stands where in a layer, by the names of the architecture's layout.

An architecture that the kernels can run is one more record here, and a line in `eligibility`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from refimpl.kernels.row_ops import GELU, GELU_TANH, RELU, SILU
from refimpl.kernels.weights import NO_MATRIX, NO_VECTOR, Array, Block, Dense, Kind, Layer, Model, Norm, Stack, typed

ACTIVATIONS = {"relu": RELU, "gelu": GELU, "gelu_approximate": GELU_TANH, "silu": SILU}


class Record:
    """Reads a backbone's weights by name. What is put in their place during a call is for the next one."""

    activation, epsilon = GELU, 1e-5
    wide: tuple[str, ...]  # the projections of the feed-forward from the rows, the gate as the second
    narrow: str  # and the one back

    def __init__(self, backbone: Any) -> None:
        self.backbone, self.params = backbone, dict(backbone.params)

    def norms(self, layer: str, part: str) -> dict[str, Norm]:
        """The norms around a part of a layer, by their names in `Block`."""
        raise NotImplementedError

    def width(self, side: str) -> int:
        """E of a stack."""
        return int(self.backbone.hidden_dim)

    def attention(self, side: str) -> Any:
        """The attention of a stack, as `refimpl.models.attention` describes it."""
        return self.backbone.attention

    def model(self) -> Model:
        """All that kernels read."""
        return Model(self._stack("encoder"), self._stack("decoder"), type(self.backbone.scope)(self.params))

    def array(self, name: str) -> Array:
        """A weight."""
        return typed(self.params[name])

    def _dense(self, path: str, inputs: int) -> Dense:
        """A projection by outputs, its heads joined, with its bias if it has one; no copy if it lies so, as a rule."""
        kernel, bias = typed(self.params[f"{path}/kernel"].reshape(inputs, -1).T), NO_VECTOR
        if f"{path}/bias" in self.params:
            bias = self.array(f"{path}/bias").reshape(-1)
        return Dense(kernel, bias)

    def _three(self, paths: Sequence[str], inputs: int) -> tuple[Dense, Dense, Dense]:
        """Up to three projections."""
        first, second, third = (*[self._dense(path, inputs) for path in paths], Dense(), Dense())[:3]
        return first, second, third

    def _stack(self, side: str) -> Stack:
        own, backbone = self.attention(side), self.backbone
        scalars = (np.float32(x) for x in (own.scale, self.epsilon, own.soft_cap or 0.0))
        kind = Kind(own.heads, own.cached_heads, own.head_dim, self.activation, *scalars)

        def bias(span: int) -> Array:
            found = backbone.position_bias(backbone.scope, side, 1, 2 * span + 1, span)
            return np.zeros((kind.heads, 0), np.float32) if found is None else np.ascontiguousarray(found[:, 0])

        def rotary(length: int) -> Array:
            if own.wavelength is None:
                return NO_MATRIX
            half = kind.depth // 2
            angles = np.arange(length)[:, None] * own.wavelength ** (-np.arange(half) / half)
            return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

        return Stack([self._layer(side, n) for n in range(backbone.depth(side))], kind, self.width(side), bias, rotary)

    def _layer(self, side: str, n: int) -> Layer:
        path, own = self.backbone.layer_name.format(side, n), self.attention(side)
        names, inner, reach = own.names, own.heads * own.head_dim, self.backbone.reach(side, n)
        reach = np.iinfo(np.int32).max if reach is None else reach

        def attention(part: str, count: int) -> Block:
            inputs = self._three([f"{path}/{part}/{name}" for name in names[:count]], self.width(side))
            return Block(inputs, self._dense(f"{path}/{part}/{names[3]}", inner), **self.norms(path, part))

        inputs = self._three([f"{path}/{name}" for name in self.wide], self.width(side))
        output = self._dense(f"{path}/{self.narrow}", len(inputs[0].kernel))
        last, source = Block(inputs, output, **self.norms(path, "feedforward")), (Dense(), Dense())
        if side == "encoder":
            return Layer((attention("self_attention", 3), Block(), last), source, reach)
        source = self._three([f"{path}/cross_attention/{name}" for name in names[1:3]], self.width("encoder"))[:2]
        blocks = (attention("self_attention", 3), attention("cross_attention", 1), last)
        return Layer(blocks, source, reach)


class Bart(Record):
    """Norms after each sum, biases in all projections."""

    wide, narrow = ("feedforward_intermediate_dense",), "feedforward_output_dense"

    def norms(self, layer: str, part: str) -> dict[str, Norm]:
        """A layer norm."""
        path = f"{layer}/{part}_layer_norm"
        return {"after": Norm(self.array(f"{path}/gamma"), self.array(f"{path}/beta"))}


class T5(Record):
    """RMS norms before each block, biases by distance, no other biases."""

    narrow = "output_projector"

    def __init__(self, backbone: Any) -> None:
        super().__init__(backbone)
        self.activation, self.epsilon = ACTIVATIONS[backbone.activation], backbone.layer_norm_epsilon
        self.wide = ("input_projector", "gate_projector")[: 1 + backbone.use_gated_activation]

    def norms(self, layer: str, part: str) -> dict[str, Norm]:
        """The gain."""
        name = "layer_norm" if part == "feedforward" else f"{part}_layer_norm"
        return {"before": Norm(self.array(f"{layer}/{name}/weight"))}


class T5Gemma(Record):
    """RMS norms before and within each block, rotary positions, shared keys, windows, a cap on scores."""

    wide, narrow = ("mlp/gate_proj", "mlp/up_proj"), "mlp/down_proj"

    def __init__(self, backbone: Any) -> None:
        super().__init__(backbone)
        self.activation, self.epsilon = ACTIVATIONS[backbone.hidden_activation], backbone.rms_norm_eps

    def norms(self, layer: str, part: str) -> dict[str, Norm]:
        """The gain, of which the file keeps what is above 1."""
        one, two = (self.array(f"{layer}/{where}_{part}_norm/scale") for where in ("pre", "post"))
        return {"before": Norm(1.0 + one), "within": Norm(1.0 + two)}

    def width(self, side: str) -> int:
        """The sides may differ."""
        return int(self.backbone.config.side(side, "hidden_dim"))

    def attention(self, side: str) -> Any:
        """Also in their heads."""
        return self.backbone.attention_of(side)


class Moonshine(Record):
    """Layer norms before each block; gates behind what they gate; neighbours turn, and not all of a head.

    Kernels turn halves, so that queries and keys are laid with the first number of each pair before all second ones.
    """

    wide, narrow = ("feedforward/dense_1",), "feedforward/dense_2"

    def norms(self, layer: str, part: str) -> dict[str, Norm]:
        """The gain; a shift of zeros says that it is no RMS norm."""
        gain = self.array(f"{layer}/{part}_layer_norm/gamma")
        return {"before": Norm(gain, np.zeros_like(gain))}

    def attention(self, side: str) -> Any:
        """The sides may differ in their heads."""
        return self.backbone.attention_of(side)

    def _stack(self, side: str) -> Stack:
        gated, own = self.backbone.config.side(side, "use_swiglu_activation"), self.attention(side)
        self.activation, pairs, half = SILU if gated else GELU, len(own.frequencies), own.head_dim // 2
        ahead = [*range(0, 2 * pairs, 2), *range(2 * pairs, pairs + half)]
        order = np.array([*ahead, *(n for n in range(own.head_dim) if n not in ahead)])
        self.order = (np.arange(own.heads)[:, None] * own.head_dim + order).reshape(-1)

        def rotary(length: int) -> Array:
            angles = np.arange(length)[:, None] * np.pad(own.frequencies, (0, half - pairs))
            return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

        return super()._stack(side)._replace(rotary=rotary)

    def _three(self, paths: Sequence[str], inputs: int) -> tuple[Dense, Dense, Dense]:
        first, second, third = super()._three(paths, inputs)
        if paths[0].endswith("self_attention/query"):
            first, second = (Dense(*(x[self.order] if len(x) else x for x in each)) for each in (first, second))
        elif paths[0].endswith("dense_1") and self.activation == SILU:
            second, first = (Dense(*half) for half in zip(*(np.split(x, 2) for x in first), strict=True))
        return first, second, third
