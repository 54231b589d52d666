"""Every dataset of a preset's weights and its shape, written out for each architecture from what KerasHub saves."""

from collections.abc import Iterator
from typing import Any

Places = Iterator[tuple[str, tuple[int, ...]]]


def bart(c: dict[str, Any]) -> Places:
    """BART: everything has a bias, every norm a shift."""
    width, heads, inner = c["hidden_dim"], c["num_heads"], c["intermediate_dim"]
    yield "layers/reversible_embedding/vars/0", (c["vocabulary_size"], width)
    for side, end in (("encoder", ""), ("decoder", "_1")):
        yield f"layers/position_embedding{end}/vars/0", (c["max_sequence_length"], width)
        yield from _pair(f"layers/layer_normalization{end}", (width,), (width,))
        for n in range(c["num_layers"]):
            layer = f"layers/transformer_{side}" + (f"_{n}" if n else "")
            for kind in ("self", "cross") if side == "decoder" else ("self",):
                for part in ("query", "key", "value"):
                    split = (heads, width // heads)
                    yield from _pair(f"{layer}/_{kind}_attention_layer/{part}_dense", (width, *split), split)
                joined = (heads, width // heads, width)
                yield from _pair(f"{layer}/_{kind}_attention_layer/output_dense", joined, (width,))
                yield from _pair(f"{layer}/_{kind}_attention_layer_norm", (width,), (width,))
            yield from _pair(f"{layer}/_feedforward_intermediate_dense", (width, inner), (inner,))
            yield from _pair(f"{layer}/_feedforward_output_dense", (inner, width), (width,))
            yield from _pair(f"{layer}/_feedforward_layer_norm", (width,), (width,))


def t5(c: dict[str, Any]) -> Places:
    """T5: the layers of both sides are counted on, the first of each has the table of positions."""
    width, inner, split = c["hidden_dim"], c["intermediate_dim"], c["num_heads"] * c["key_value_dim"]
    yield from _table("layers/reversible_embedding", c["vocabulary_size"], width, c["tie_embedding_weights"])
    for n in range(2 * c["num_layers"]):
        layer = "layers/t5_transformer_layer" + (f"_{n}" if n else "")
        if n % c["num_layers"] == 0:
            yield f"{layer}/self_attention/vars/0", (32, c["num_heads"])
        for kind in ("self", "cross") if n >= c["num_layers"] else ("self",):
            for part in ("query", "key", "value"):
                yield f"{layer}/{kind}_attention/{part}_projector/vars/0", (width, split)
            yield f"{layer}/{kind}_attention/output_projector/vars/0", (split, width)
            yield f"{layer}/{kind}_attention_layer_norm/vars/0", (width,)
        for part in ("input", "gate") if c["use_gated_activation"] else ("input",):
            yield f"{layer}/{part}_projector/vars/0", (width, inner)
        yield f"{layer}/output_projector/vars/0", (inner, width)
        yield f"{layer}/layer_norm/vars/0", (width,)
    yield from ((f"layers/t5_layer_norm{end}/vars/0", (width,)) for end in ("", "_1"))


def t5gemma(c: dict[str, Any]) -> Places:
    """T5Gemma: sides of their own sizes, several heads for each key and value, two norms around each part."""
    yield "layers/embedding/vars/0", (c["vocabulary_size"], c["encoder_hidden_dim"])
    tied = c["tie_word_embeddings"]
    yield from _table("layers/reversible_embedding", c["vocabulary_size"], c["decoder_hidden_dim"], tied)
    for side, end in (("encoder", ""), ("decoder", "_1")):
        width, inner = c[f"{side}_hidden_dim"], c[f"{side}_intermediate_dim"]
        heads, shared = ((c[f"{side}_num_{kind}_heads"], c[f"{side}_head_dim"]) for kind in ("attention", "key_value"))
        yield f"layers/rms_normalization{end}/vars/0", (width,)
        for n in range(c[f"{side}_num_layers"]):
            layer = f"layers/t5_gemma_{side}_layer" + (f"_{n}" if n else "")
            kinds = ("self", "cross") if side == "decoder" else ("self",)
            for where in ("pre", "post"):
                for part in (*(f"{kind}_attn" for kind in kinds), "feedforward"):
                    yield f"{layer}/{where}_{part}_layernorm/vars/0", (width,)
            for kind in kinds:
                source = width if kind == "self" else c["encoder_hidden_dim"]
                for part, shape, bias in (
                    ("query", (width, *heads), heads), ("key", (source, *shared), shared),
                    ("value", (source, *shared), shared), ("output", (*heads, width), (width,)),
                ):  # fmt: skip
                    place = f"{layer}/{kind}_attn/{part}_dense"
                    yield from _pair(place, shape, bias) if c["attention_bias"] else [(f"{place}/vars/0", shape)]
            for part, shape in (("gate", (width, inner)), ("up", (width, inner)), ("down", (inner, width))):
                yield f"{layer}/mlp/{part}_proj/vars/0", shape


def _pair(place: str, first: tuple[int, ...], second: tuple[int, ...]) -> Places:
    yield f"{place}/vars/0", first
    yield f"{place}/vars/1", second


def _table(place: str, rows: int, width: int, tied: bool) -> Places:
    """The embedding table, and a head of its own."""
    yield f"{place}/vars/0", (rows, width)
    if not tied:
        yield f"{place}/vars/1", (width, rows)
