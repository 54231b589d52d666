"""What kernels take: typed arrays in named tuples. A model's weights are read where they lie.

What an architecture does not have is an empty array. A copy is made only of what lies in another order.

Spec: kernels.architecture, kernels.memory
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from refimpl.kernels.row_ops import GELU, GELU_TANH, RELU, SILU

Array = np.ndarray
ACTIVATIONS = {"relu": RELU, "gelu": GELU, "gelu_approximate": GELU_TANH, "silu": SILU}
_NO_VECTOR, _NO_MATRIX = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)


class Dense(NamedTuple):
    """A projection. Shapes: kernel (inputs, outputs), bias (outputs) or (0)."""

    kernel: Array = _NO_MATRIX
    bias: Array = _NO_VECTOR


class Norm(NamedTuple):
    """A layer norm; without a shift an RMS norm; without a gain none. Shapes: (E) or (0)."""

    gain: Array = _NO_VECTOR
    shift: Array = _NO_VECTOR


class Block(NamedTuple):
    """A part of a layer: projections from the rows, then one back to them; norms before it, of what it gives, and of
    its sum with the rows. Attention projects to queries, keys and values; to the source to queries alone.
    """

    inputs: tuple[Dense, Dense, Dense] = (Dense(), Dense(), Dense())
    output: Dense = Dense()
    before: Norm = Norm()
    within: Norm = Norm()
    after: Norm = Norm()


class Layer(NamedTuple):
    """A layer of either stack: attention to its own sequence, to the source (empty in the encoder), feed-forward.

    `source` makes keys and values of the encoder's states. `window` positions are attended to at most, 0 means all.
    """

    blocks: tuple[Block, Block, Block]
    source: tuple[Dense, Dense] = (Dense(), Dense())
    window: int = 0


class Lines(NamedTuple):
    """Keys and values. Shapes: (T, slots, G D)."""

    keys: Array
    values: Array


class Kind(NamedTuple):
    """The sizes and scalars of one stack; the scalars are float32, so that sums are."""

    heads: int
    key_value_heads: int
    depth: int
    activation: int
    scale: np.float32
    epsilon: np.float32
    soft_cap: np.float32 = np.float32(0.0)


class Span(NamedTuple):
    """Which lines a row attends to, from `starts` to before `stops`, and which slot of each.

    Shapes: starts, stops (R), slots (R or 1, lines), positions (lines), all int64.
    """

    starts: Array
    stops: Array
    slots: Array
    positions: Array


class Rows(NamedTuple):
    """A token at a position of a sequence each; the line and slot where its key and value go; what it attends to.

    Shapes: positions, lines, slots (R) int64; spans: of its own sequence and of the source.
    """

    positions: Array
    lines: Array
    slots: Array
    spans: tuple[Span, Span]


class Work(NamedTuple):
    """Arrays that layers read and write. Letters: E hidden, L = heads * depth, G = key and value heads * depth,
    F intermediate.

    Shapes: x, n, y (R, E), R even; projected: queries or what is activated (R, L or F), keys or gate (R, G or F),
        values (R, G); scores (threads, longest); bias (heads, distances) with distance 0 at `origin`, or (heads, 0);
        rotary (positions, depth) or (0, 0).
    """

    x: Array
    n: Array
    y: Array
    projected: tuple[Array, Array, Array]
    scores: Array
    bias: Array
    origin: int
    rotary: Array


class Stack(NamedTuple):
    """Encoder or decoder. `bias(span)` gives the biases of the distances from -span to span, (H, 2 span + 1);
    `rotary(length)` cosines and sines of so many positions, (length, D).
    """

    layers: list[Layer]
    kind: Kind
    width: int
    bias: Callable[[int], Array]
    rotary: Callable[[int], Array] = lambda _: _NO_MATRIX


class Model(NamedTuple):
    """All that kernels read of a model; `scope` is what the definition reads of it, for the ends of each stack."""

    encoder: Stack
    decoder: Stack
    scope: Any


class Reader:
    """Reads a backbone's weights by name."""

    def __init__(self, backbone: Any) -> None:
        self.params = dict(backbone.params)  # what is put in its place during a call is for the next one

    def array(self, name: str) -> Array:
        """A weight."""
        return np.ascontiguousarray(self.params[name])

    def dense(self, path: str, inputs: int) -> Dense:
        """A projection, its heads joined, with its bias if it has one."""
        kernel, bias = self.array(f"{path}/kernel").reshape(inputs, -1), _NO_VECTOR
        if f"{path}/bias" in self.params:
            bias = self.array(f"{path}/bias").reshape(-1)
        return Dense(kernel, bias)

    def three(self, path: str, names: Sequence[str], inputs: int) -> tuple[Dense, Dense, Dense]:
        """Up to three projections below a path."""
        found = [self.dense(f"{path}/{name}", inputs) for name in names]
        first, second, third = (*found, Dense(), Dense())[:3]
        return first, second, third

    def layer_norm(self, path: str) -> Norm:
        """Gain and shift."""
        return Norm(self.array(f"{path}/gamma"), self.array(f"{path}/beta"))

    def rms_norm(self, path: str) -> Norm:
        """Gain alone."""
        return Norm(self.array(f"{path}/weight"))


def _kind(backbone: Any, activation: int, epsilon: float) -> Kind:
    """The sizes and scalars of a backbone's attention and norms."""
    own = backbone.attention
    return Kind(own.heads, own.heads, own.head_dim, activation, np.float32(own.scale), np.float32(epsilon))


def bart(backbone: Any) -> Model:
    """BART: norms after each sum, biases in all projections."""
    reader, kind, width = Reader(backbone), _kind(backbone, GELU, 1e-5), backbone.hidden_dim

    def attention(path: str, names: Sequence[str]) -> Block:
        output = reader.dense(f"{path}/attention_output", kind.heads * kind.depth)
        return Block(reader.three(path, names, width), output, after=reader.layer_norm(f"{path}_layer_norm"))

    def feed_forward(path: str) -> Block:
        inputs = reader.three(path, ["feedforward_intermediate_dense"], width)
        output = reader.dense(f"{path}/feedforward_output_dense", backbone.intermediate_dim)
        return Block(inputs, output, after=reader.layer_norm(f"{path}/feedforward_layer_norm"))

    return _model(backbone, reader, kind, attention, feed_forward, ("query", "key", "value"))


def t5(backbone: Any) -> Model:
    """T5: RMS norms before each block, biases by distance, no other biases."""
    reader, width = Reader(backbone), backbone.hidden_dim
    kind = _kind(backbone, ACTIVATIONS[backbone.activation], backbone.layer_norm_epsilon)
    wide = ["input_projector", "gate_projector"][: 1 + backbone.use_gated_activation]

    def attention(path: str, names: Sequence[str]) -> Block:
        output = reader.dense(f"{path}/output_projector", kind.heads * kind.depth)
        return Block(reader.three(path, names, width), output, before=reader.rms_norm(f"{path}_layer_norm"))

    def feed_forward(path: str) -> Block:
        output = reader.dense(f"{path}/output_projector", backbone.intermediate_dim)
        return Block(reader.three(path, wide, width), output, before=reader.rms_norm(f"{path}/layer_norm"))

    return _model(
        backbone, reader, kind, attention, feed_forward, ("query_projector", "key_projector", "value_projector")
    )


def _model(backbone: Any, reader: Reader, kind: Kind, attention: Any, feed_forward: Any, names: Sequence[str]) -> Model:
    """Both stacks, from what makes a block of attention and of feed-forward."""

    def layer(path: str, side: str) -> Layer:
        own, last = attention(f"{path}/self_attention", names), feed_forward(path)
        if side == "encoder":
            return Layer((own, Block(), last))
        key, value, _ = reader.three(f"{path}/cross_attention", names[1:], backbone.hidden_dim)
        return Layer((own, attention(f"{path}/cross_attention", names[:1]), last), (key, value))

    def stack(side: str) -> Stack:
        def bias(span: int) -> Array:
            found = backbone.position_bias(backbone.scope, side, 1, 2 * span + 1, span)
            return np.zeros((kind.heads, 0), np.float32) if found is None else np.ascontiguousarray(found[:, 0])

        layers = [layer(backbone.layer_name.format(side, n), side) for n in range(backbone.depth(side))]
        return Stack(layers, kind, backbone.hidden_dim, bias)

    return Model(stack("encoder"), stack("decoder"), type(backbone.scope)(reader.params))
