"""The tensors inside refimpl's definition: its layers are wrapped for the time of one pass."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from conformance.patches import Patch, patched
from conformance.probes import BIAS, Recorder

BART, T5 = "refimpl.models.bart_backbone", "refimpl.models.t5_backbone"
# Where each function or method takes the weights whose path names what it gives.
PLACES = (
    (BART, "attention", 4), (BART, "feed_forward", 1), (BART, "layer_norm", 1),
    (T5, "attention", 4), (T5, "feed_forward", 1), (T5, "T5Backbone.norm", 2),
)  # fmt: skip
_LAYER = re.compile(r"transformer_(encoder|decoder)_layer_(\d+)/(.*)")
_PARTS = {"self_attention": "self_attention", "cross_attention": "cross_attention", "": "feed_forward",
          "self_attention_layer_norm": "self_attention_norm", "cross_attention_layer_norm": "cross_attention_norm",
          "feedforward_layer_norm": "feed_forward_norm", "layer_norm": "feed_forward_norm"}  # fmt: skip


def name_of(path: str) -> str:
    """The tensor's name from the path of the weights that make it."""
    if match := _LAYER.fullmatch(path):
        side, number, part = match.groups()
        return f"{side}.layer.{number}.{_PARTS[part.rstrip('/')]}"
    return f"{path.partition('_')[0]}.{'final_norm' if 'output' in path else 'embed_norm'}"


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

    def biased(right: Any) -> Any:
        def position_bias(self: Any, weights: Any, side: str, *rest: Any) -> Any:
            return recorder.seen(f"{side}.{BIAS}", right(self, weights, side, *rest))

        return position_bias

    def entered(right: Any) -> Any:
        def attend_self(self: Any, x: Any, bias: Any, may_attend: Any, weights: Any, *rest: Any) -> Any:
            side, number, _ = _LAYER.fullmatch(weights._path).groups()  # type: ignore[union-attr]
            x = recorder.seen(f"{side}.embed", x) if number == "0" else x
            return right(self, x, bias, may_attend, weights, *rest)

        return attend_self

    patches: list[Patch] = [(module, function, after(at)) for module, function, at in PLACES]
    patches += [(T5, f"T5Backbone.{BIAS}", biased), (T5, "T5Backbone.attend_self", entered)]
    with patched(patches, "trace"):
        yield
