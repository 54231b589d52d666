"""What the compiled step must know of an architecture: names of weights, and the kinds of its parts.

An architecture that the step can run is one more record here.

Spec: kernels.architecture
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RELU, GELU, GELU_TANH, SILU = range(4)


@dataclass(frozen=True)
class Architecture:
    """Self-attention, in the decoder cross-attention, and feed-forward, each added to its input; norms between them.

    Weights are given by path, `{}` standing for the number of the layer, in the order of the places in `step`. Two
    paths make a kernel and its bias or a gain and its shift; what a layer does not have is "". After each sum, and
    after the embedding, stands a norm. It gives what the next part reads; with `pre_norm` the sum itself goes on beside
    it, else its result does. A path with `{next}` is the norm before the next layer, after the last one `final`.
    """

    encoder: tuple[str, ...]  # token table, position table, gain, shift
    encoder_layer: tuple[str, ...]
    decoder: tuple[str, ...]  # the same, then the table of the head
    decoder_layer: tuple[str, ...]
    activation: int
    final: tuple[str, str] = ("", "")  # the last norm of the encoder and of the decoder
    epsilon: float = 1e-5
    pre_norm: bool = False
    rms: bool = False  # norms take no mean off
    gated: bool = False  # a second projection multiplies the activated one
    scaled: bool = True  # scores are divided by the root of the head's width
    relative: bool = False  # `position_bias` of the backbone is added to the scores of self-attention
    head_scale: float = 1.0
    own_head: bool = False  # the head's table is as a projection's, (E, V), and not as the embedding's


def _dense(*paths: str) -> tuple[str, ...]:
    return tuple(f"{path}/{part}" for path in paths for part in ("kernel", "bias"))


def _norm(path: str) -> tuple[str, str]:
    return f"{path}/gamma", f"{path}/beta"


def _attention(layer: str, kind: str) -> tuple[str, ...]:
    parts = (f"{layer}/{kind}/{part}" for part in ("query", "key", "value", "attention_output"))
    return (*_dense(*parts), *_norm(f"{layer}/{kind}_layer_norm"))


def _feed_forward(layer: str) -> tuple[str, ...]:
    first, second = (_dense(f"{layer}/feedforward_{part}_dense") for part in ("intermediate", "output"))
    return (*first, "", "", *second, *_norm(f"{layer}/feedforward_layer_norm"))


def _embeddings(side: str) -> tuple[str, ...]:
    table = "token_embedding/embeddings"
    return (table, f"{side}_position_embedding/embeddings", *_norm(f"{side}_embeddings_layer_norm"))


def _t5_attention(layer: str, kind: str, norm: str) -> tuple[str, ...]:
    parts = ("query", "key", "value", "output")
    dense = [name for part in parts for name in (f"{layer}/{kind}/{part}_projector/kernel", "")]
    return (*dense, norm, "")


def t5(backbone: Any) -> Architecture:
    """T5 of a configuration."""
    encoder = f"{_ENCODER}/layer_norm/weight"
    cross, decoder = f"{_DECODER}/cross_attention_layer_norm/weight", f"{_DECODER}/layer_norm/weight"
    gated, tied = backbone.use_gated_activation, backbone.tie_embedding_weights
    table = "token_embedding/embeddings"

    def ends(layer: str) -> tuple[str, ...]:
        gate = f"{layer}/gate_projector/kernel" if gated else ""
        following = f"{layer.replace('{}', '{next}')}/self_attention_layer_norm/weight"
        return f"{layer}/input_projector/kernel", "", gate, "", f"{layer}/output_projector/kernel", "", following, ""

    return Architecture(
        encoder=(table, "", ends(_ENCODER)[-2], ""),
        encoder_layer=(*_t5_attention(_ENCODER, "self_attention", encoder), *[""] * 10, *ends(_ENCODER)),
        decoder=(table, "", ends(_DECODER)[-2], "", table if tied else "token_embedding/reverse_embeddings", ""),
        decoder_layer=(
            *_t5_attention(_DECODER, "self_attention", cross),
            *_t5_attention(_DECODER, "cross_attention", decoder),
            *ends(_DECODER),
        ),
        activation={"relu": RELU, "gelu": GELU, "gelu_approximate": GELU_TANH, "silu": SILU}[backbone.activation],
        final=("encoder_output_layer_norm/weight", "decoder_output_layer_norm/weight"),
        epsilon=backbone.layer_norm_epsilon,
        pre_norm=True,
        rms=True,
        gated=gated,
        scaled=False,
        relative=True,
        head_scale=backbone.hidden_dim**-0.5 if tied else 1.0,
        own_head=not tied,
    )


_ENCODER, _DECODER = "transformer_encoder_layer_{}", "transformer_decoder_layer_{}"

BART = Architecture(
    encoder=_embeddings("encoder"),
    encoder_layer=(*_attention(_ENCODER, "self_attention"), *[""] * 10, *_feed_forward(_ENCODER)),
    decoder=(*_embeddings("decoder"), "token_embedding/embeddings", ""),
    decoder_layer=(
        *_attention(_DECODER, "self_attention"),
        *_attention(_DECODER, "cross_attention"),
        *_feed_forward(_DECODER),
    ),
    activation=GELU,
)

# By module and name of the class whose definition the record repeats; the record for one of its instances.
ARCHITECTURES: dict[tuple[str, str], Callable[[Any], Architecture]] = {
    ("refimpl.models.bart.backbone", "BartBackbone"): lambda _: BART,
    ("refimpl.models.t5.backbone", "T5Backbone"): t5,
}
