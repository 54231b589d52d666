"""The tensors inside refimpl's definition: its layers are wrapped for the time of one pass."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from conformance.suite.patches import Patch, patched
from conformance.suite.probes import BIAS, Recorder

ATTENTION = "refimpl.models.attention"
BART, T5, T5GEMMA, MOONSHINE = (f"refimpl.models.{name}.backbone" for name in ("bart", "t5", "t5gemma", "moonshine"))
# Where each function or method takes the weights whose path names what it gives.
PLACES = (
    (ATTENTION, "Attention.__call__", 3),
    (BART, "BartBackbone.feed_forward", 2), (BART, "BartBackbone.norm", 2),
    (T5, "T5Backbone.feed_forward", 2), (T5, "T5Backbone.norm", 2),
    (T5GEMMA, "T5GemmaBackbone.feed_forward", 2), (T5GEMMA, "T5GemmaBackbone.norm", 2),
    (MOONSHINE, "MoonshineBackbone.feed_forward", 2), (MOONSHINE, "MoonshineBackbone.norm", 2),
    (MOONSHINE, "MoonshineBackbone.group_norm", 2),
)  # fmt: skip
_LAYER = re.compile(r"(?:transformer_)?(encoder|decoder)_(?:layer|block)_(\d+)/(.*)")
_PARTS = {"self_attention": "self_attention", "cross_attention": "cross_attention", "": "feed_forward",
          "self_attention_layer_norm": "self_attention_norm", "cross_attention_layer_norm": "cross_attention_norm",
          "feedforward_layer_norm": "feed_forward_norm", "layer_norm": "feed_forward_norm",
          "mlp": "feed_forward", "feedforward": "feed_forward"}  # fmt: skip
_PARTS |= {
    f"{where}_{part.replace('_f', 'f')}_norm": f"{part}_{kind}"
    for where, kind in (("pre", "norm"), ("post", "post_norm"))
    for part in ("self_attention", "cross_attention", "feed_forward")
}


def name_of(path: str) -> str:
    """The tensor's name from the path of the weights that make it."""
    if match := _LAYER.fullmatch(path):
        side, number, part = match.groups()
        return f"{side}.layer.{number}.{_PARTS[part.rstrip('/')]}"
    if path.rstrip("/") == "group_norm":
        return "encoder.stem.norm"
    return f"{path.partition('_')[0]}.{'embed_norm' if 'embeddings' in path else 'final_norm'}"


def _stem(recorder: Recorder) -> list[Patch]:
    """What Moonshine's second convolution gives, and its frames."""

    def convolved(right: Any) -> Any:
        def convolve(x: Any, weights: Any, *rest: Any) -> Any:
            third = weights._path.rstrip("/") == "conv3"
            return right(recorder.seen("encoder.stem.conv2", x) if third else x, weights, *rest)

        return convolve

    def framed(right: Any) -> Any:
        def encode_source(*args: Any) -> Any:
            with recorder.within("encoder.embed"):
                frames, mask = right(*args)
            return recorder.seen("encoder.embed", frames), mask

        return encode_source

    return [(MOONSHINE, "convolved", convolved), (MOONSHINE, "MoonshineBackbone.encode_source", framed)]


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Hand every block's output to `recorder` in the block."""

    def after(weights_at: int) -> Any:
        def wrap(right: Any) -> Any:
            def traced(*args: Any, **keywords: Any) -> Any:
                name = name_of(args[weights_at]._path)
                before = {"embed_norm": "embed", "norm": "conv1"}.get(name.rpartition(".")[2])
                if before:
                    args = (args[0], recorder.seen(f"{name.rpartition('.')[0]}.{before}", args[1]), *args[2:])
                with recorder.within(name):
                    return recorder.seen(name, right(*args, **keywords))

            return traced

        return wrap

    def projected(right: Any) -> Any:
        def keys_values(self: Any, y: Any, weights: Any, *rest: Any) -> Any:
            with recorder.within(name_of(weights._path)):
                return right(self, y, weights, *rest)

        return keys_values

    def of_side(part: str, shows: bool = True) -> Any:
        def wrap(right: Any) -> Any:
            def of(self: Any, weights: Any, side: str, *rest: Any) -> Any:
                with recorder.within(f"{side}.{part}"):
                    found = right(self, weights, side, *rest)
                    return recorder.seen(f"{side}.{part}", found) if shows else found

            return of

        return wrap

    patches: list[Patch] = [(module, function, after(at)) for module, function, at in PLACES]
    patches += [(T5, f"T5Backbone.{BIAS}", of_side(BIAS)), (BART, "BartBackbone.embed", of_side("embed", shows=False))]
    embedders = ((T5, "T5Backbone"), (T5GEMMA, "T5GemmaBackbone"), (MOONSHINE, "MoonshineBackbone"))
    patches += [(module, f"{name}.embed", of_side("embed")) for module, name in embedders]
    patches += [(ATTENTION, "Attention.keys_values", projected), *_stem(recorder)]
    with patched(patches, "trace"):
        yield
