"""The tensors inside KerasHub's BART: the `call` of its layers is wrapped for the time of one pass."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from conformance.probes import Recorder

PARTS = {"_self_attention_layer": "self_attention", "_self_attention_layer_norm": "self_attention_norm",
         "_cross_attention_layer": "cross_attention", "_cross_attention_layer_norm": "cross_attention_norm",
         "_feedforward_output_dense": "feed_forward", "_feedforward_layer_norm": "feed_forward_norm"}  # fmt: skip


def layers_of(backbone: Any) -> Iterator[tuple[str, Any]]:
    """Each tensor's name and the layer that gives it."""
    for side in ("encoder", "decoder"):
        yield f"{side}.embed_norm", backbone.get_layer(f"{side}_embeddings_layer_norm")
        for n in range(backbone.num_layers):
            layer = backbone.get_layer(f"transformer_{side}_layer_{n}")
            for part, name in PARTS.items():
                if getattr(layer, part, None) is not None:
                    yield f"{side}.layer.{n}.{name}", getattr(layer, part)


@contextlib.contextmanager
def recording(ops: Any, backbone: Any, recorder: Recorder) -> Iterator[None]:
    """Hand every block's output to `recorder` in the block."""

    def kept(name: str, value: Any) -> Any:
        return ops.cast(ops.convert_to_tensor(recorder.seen(name, ops.convert_to_numpy(value))), value.dtype)

    def wrap(name: str, right: Any) -> Any:
        @functools.wraps(right)  # Keras looks at its signature
        def call(*args: Any, **keywords: Any) -> Any:
            args = (kept(name.removesuffix("_norm"), args[0]), *args[1:]) if name.endswith("embed_norm") else args
            found = right(*args, **keywords)
            return (kept(name, found[0]), *found[1:]) if isinstance(found, tuple) else kept(name, found)

        return call

    with contextlib.ExitStack() as undo:
        for name, layer in layers_of(backbone):
            layer.__dict__["call"] = wrap(name, layer.call)
            undo.callback(layer.__dict__.pop, "call")
        yield
