"""Names, shapes and first values of T5's weights.

Source: keras-hub 0.32.0, models/t5 (shapes, initializers, order of creation)
"""

from collections.abc import Iterator
from typing import Protocol

from refimpl.models.weights import WeightSpec

BUCKETS = 32  # rows of a table of relative positions; KerasHub's T5 has no other number
Specs = Iterator[tuple[str, WeightSpec]]


class Sizes(Protocol):
    """What the shapes depend on."""

    vocabulary_size: int
    num_layers: int
    num_heads: int
    hidden_dim: int
    intermediate_dim: int
    use_gated_activation: bool
    tie_embedding_weights: bool

    @property
    def head_dim(self) -> int:
        """The width of a head."""


def weight_specs(sizes: Sizes) -> Specs:
    """Name and shape of every weight, in KerasHub's order. The table's deviation is the paper's 1, KerasHub's is not.

    Spec: models.weights.order, models.t5.initializers
    """
    width = sizes.hidden_dim
    yield "token_embedding/embeddings", WeightSpec((sizes.vocabulary_size, width), "normal", 1.0)
    if not sizes.tie_embedding_weights:
        yield "token_embedding/reverse_embeddings", WeightSpec((width, sizes.vocabulary_size), "normal", 1.0)
    for side in ("encoder", "decoder"):
        for n in range(sizes.num_layers):
            layer = f"transformer_{side}_layer_{n}"
            yield from _attention(f"{layer}/self_attention", sizes, relative=n == 0)
            if side == "decoder":
                yield from _attention(f"{layer}/cross_attention", sizes, relative=False)
            yield from _feed_forward(layer, sizes)
        yield f"{side}_output_layer_norm/weight", WeightSpec((width,), "ones")


def _attention(path: str, sizes: Sizes, relative: bool) -> Specs:
    """The four projections, and the norm before them."""
    width, depth, inner = sizes.hidden_dim, sizes.head_dim, sizes.num_heads * sizes.head_dim
    if relative:
        shape = (BUCKETS, sizes.num_heads)
        yield f"{path}/relative_attention_bias", WeightSpec(shape, "random_normal", inner**-0.5)
    yield f"{path}/query_projector/kernel", WeightSpec((width, inner), "random_normal", (inner * depth) ** -0.5)
    for name in ("key", "value"):
        yield f"{path}/{name}_projector/kernel", WeightSpec((width, inner), "random_normal", inner**-0.5)
    yield f"{path}/output_projector/kernel", WeightSpec((inner, width), "random_normal", inner**-0.5)
    yield f"{path}_layer_norm/weight", WeightSpec((width,), "ones")


def _feed_forward(layer: str, sizes: Sizes) -> Specs:
    """Two or three projections, and the norm before them."""
    width, inner = sizes.hidden_dim, sizes.intermediate_dim
    for name in ("input", "gate") if sizes.use_gated_activation else ("input",):
        yield f"{layer}/{name}_projector/kernel", WeightSpec((width, inner), "random_normal", width**-0.5)
    yield f"{layer}/output_projector/kernel", WeightSpec((inner, width), "random_normal", inner**-0.5)
    yield f"{layer}/layer_norm/weight", WeightSpec((width,), "ones")
