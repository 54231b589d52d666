"""The tensors inside refimpl's definition: its layers are wrapped for the time of one pass."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from conformance.patches import Patch, patched
from conformance.probes import Recorder

MODULES = ("refimpl.models.bart_backbone",)
_LAYER = re.compile(r"transformer_(encoder|decoder)_layer_(\d+)/(.*)")
_PARTS = {"self_attention": "self_attention", "cross_attention": "cross_attention", "": "feed_forward",
          "self_attention_layer_norm": "self_attention_norm", "cross_attention_layer_norm": "cross_attention_norm",
          "feedforward_layer_norm": "feed_forward_norm"}  # fmt: skip


def name_of(path: str) -> str:
    """The tensor's name from the path of the weights that make it."""
    if match := _LAYER.fullmatch(path):
        side, number, part = match.groups()
        return f"{side}.layer.{number}.{_PARTS[part.rstrip('/')]}"
    return f"{path.partition('_')[0]}.embed_norm"


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Hand every block's output to `recorder` in the block."""

    def after(weights_at: int) -> Any:
        def wrap(right: Any) -> Any:
            def traced(*args: Any, **keywords: Any) -> Any:
                name = name_of(args[weights_at]._path)
                if name.endswith("embed_norm"):
                    args = (recorder.seen(name.removesuffix("_norm"), args[0]), *args[1:])
                return recorder.seen(name, right(*args, **keywords))

            return traced

        return wrap

    places = {"attention": 4, "feed_forward": 1, "layer_norm": 1}
    patches: list[Patch] = [(module, function, after(at)) for module in MODULES for function, at in places.items()]
    with patched(patches, "trace"):
        yield
