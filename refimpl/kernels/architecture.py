"""What the compiled step must know of an architecture: names of weights, and the kinds of its parts.

An architecture that the step can run is one more record here.
"""

from dataclasses import dataclass

RELU, GELU = 0, 1


@dataclass(frozen=True)
class Architecture:
    """Self-attention, in the decoder cross-attention, and feed-forward, each added to its input and then normalized.

    Weights are given by path, `{}` standing for the number of the layer, in the order of the places in `step`. Two
    paths make a kernel and its bias or a gain and its shift; what a layer does not have is "".
    """

    encoder: tuple[str, ...]  # token table, position table, gain, shift
    encoder_layer: tuple[str, ...]
    decoder: tuple[str, ...]  # the same, then the table of the head
    decoder_layer: tuple[str, ...]
    activation: int


def _dense(*paths: str) -> tuple[str, ...]:
    return tuple(f"{path}/{part}" for path in paths for part in ("kernel", "bias"))


def _norm(path: str) -> tuple[str, str]:
    return f"{path}/gamma", f"{path}/beta"


def _attention(layer: str, kind: str) -> tuple[str, ...]:
    parts = (f"{layer}/{kind}/{part}" for part in ("query", "key", "value", "attention_output"))
    return (*_dense(*parts), *_norm(f"{layer}/{kind}_layer_norm"))


def _feed_forward(layer: str) -> tuple[str, ...]:
    dense = _dense(f"{layer}/feedforward_intermediate_dense", f"{layer}/feedforward_output_dense")
    return (*dense, *_norm(f"{layer}/feedforward_layer_norm"))


def _embeddings(side: str) -> tuple[str, ...]:
    table = "token_embedding/embeddings"
    return (table, f"{side}_position_embedding/embeddings", *_norm(f"{side}_embeddings_layer_norm"))


_ENCODER, _DECODER = "transformer_encoder_layer_{}", "transformer_decoder_layer_{}"

BART = Architecture(
    encoder=_embeddings("encoder"),
    encoder_layer=(*_attention(_ENCODER, "self_attention"), *[""] * 10, *_feed_forward(_ENCODER)),
    decoder=(*_embeddings("decoder"), "token_embedding/embeddings"),
    decoder_layer=(
        *_attention(_DECODER, "self_attention"),
        *_attention(_DECODER, "cross_attention"),
        *_feed_forward(_DECODER),
    ),
    activation=GELU,
)

# By module and name of the class whose definition the record repeats.
ARCHITECTURES = {("refimpl.models.bart_backbone", "BartBackbone"): BART}
