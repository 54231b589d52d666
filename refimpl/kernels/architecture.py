"""What the compiled step must know of an architecture: names of weights, and the kinds of its parts.

An architecture that the step can run is one more record here.
"""

from dataclasses import dataclass

RELU, GELU = 0, 1


@dataclass(frozen=True)
class Architecture:
    """A decoder of self-attention, cross-attention and feed-forward, each added to its input and then normalized.

    Weights are given by path, `{}` standing for the number of the layer. Two paths make a kernel and its bias or a
    gain and its shift.
    """

    word: str
    position: str
    norm: tuple[str, str]
    layer: tuple[str, ...]
    head: str
    activation: int


def _dense(*paths: str) -> tuple[str, ...]:
    return tuple(f"{path}/{part}" for path in paths for part in ("kernel", "bias"))


def _norm(path: str) -> tuple[str, str]:
    return f"{path}/gamma", f"{path}/beta"


_LAYER = "transformer_decoder_layer_{}"


def _attention(kind: str) -> tuple[str, ...]:
    parts = (f"{_LAYER}/{kind}/{part}" for part in ("query", "key", "value", "attention_output"))
    return (*_dense(*parts), *_norm(f"{_LAYER}/{kind}_layer_norm"))


BART = Architecture(
    word="token_embedding/embeddings",
    position="decoder_position_embedding/embeddings",
    norm=_norm("decoder_embeddings_layer_norm"),
    layer=(
        *_attention("self_attention"),
        *_attention("cross_attention"),
        *_dense(f"{_LAYER}/feedforward_intermediate_dense", f"{_LAYER}/feedforward_output_dense"),
        *_norm(f"{_LAYER}/feedforward_layer_norm"),
    ),
    head="token_embedding/embeddings",
    activation=GELU,
)

# By module and name of the class whose definition the record repeats.
ARCHITECTURES = {("refimpl.models.bart_backbone", "BartBackbone"): BART}
