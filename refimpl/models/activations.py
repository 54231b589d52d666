"""Activations by Keras's names, and how Keras writes them."""

from collections.abc import Callable, Mapping
from typing import Any

from refimpl.autograd import ops

ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "relu": ops.relu,
    "gelu": ops.gelu,
    "silu": ops.silu,
    "gelu_approximate": ops.gelu_tanh,
}
TRANSFORMERS = {  # its names, but for a gated `gelu`
    "relu": "relu", "gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu_approximate",
    "gelu_pytorch_tanh": "gelu_approximate", "silu": "silu", "swish": "silu",
}  # fmt: skip
_PREFIX = "keras_hub>"


def activation_name(activation: Any) -> Any:
    """An activation's name, from how Keras writes it: a string, or a dictionary for a function of KerasHub's own."""
    if isinstance(activation, dict):
        activation = activation.get("config")
    if not isinstance(activation, str):
        return activation
    short = activation.removeprefix(_PREFIX)
    return "silu" if short == "swish" else short


def serialized_activation(name: str) -> Any:
    """An activation as Keras writes it; `activation_name` is the way back."""
    if name != "gelu_approximate":
        return name
    written = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    return written | {"config": f"{_PREFIX}{name}"}
