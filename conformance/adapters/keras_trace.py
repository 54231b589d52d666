"""The tensors inside KerasHub's models: the `call` of its layers is wrapped for the time of one pass."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from conformance.suite.probes import BIAS, SIDES, Recorder

BART = {"_self_attention_layer": "self_attention", "_self_attention_layer_norm": "self_attention_norm",
        "_cross_attention_layer": "cross_attention", "_cross_attention_layer_norm": "cross_attention_norm",
        "_feedforward_output_dense": "feed_forward", "_feedforward_layer_norm": "feed_forward_norm"}  # fmt: skip
T5 = {"self_attention": "self_attention", "self_attention_layer_norm": "self_attention_norm",
      "cross_attention": "cross_attention", "cross_attention_layer_norm": "cross_attention_norm",
      "output_projector": "feed_forward", "layer_norm": "feed_forward_norm"}  # fmt: skip
GEMMA = {"self_attn": "self_attention", "cross_attn": "cross_attention", "mlp": "feed_forward"}
for _part, _name in tuple(GEMMA.items()):
    for _where, _kind in (("pre", "norm"), ("post", "post_norm")):
        GEMMA[f"{_where}_{_part.replace('mlp', 'feedforward')}_layernorm"] = f"{_name}_{_kind}"
STEM = {"tanh_after_conv1": "stem.conv1", "group_norm": "stem.norm", "gelu_after_conv2": "stem.conv2"}
MOONSHINE = {"self_attention_layer": "self_attention", "self_attention_layer_norm": "self_attention_norm",
             "feedforward": "feed_forward", "feedforward_layer_norm": "feed_forward_norm",
             "self_attention": "self_attention", "norm1": "self_attention_norm", "cross_attention": "cross_attention",
             "norm2": "cross_attention_norm", "ff": "feed_forward", "norm3": "feed_forward_norm"}  # fmt: skip
Kept = Callable[[str, Any], Any]


def places_of(backbone: Any, kept: Kept) -> Iterator[tuple[Any, str, Any]]:
    """Objects, names of their methods, and what is put in the place of the method, made from the right one."""
    kind = type(backbone).__name__
    t5 = kind == "T5Backbone"
    for side in SIDES:
        if kind == "T5GemmaBackbone":
            yield from _places_of_t5gemma(backbone, side, kept)
            continue
        if kind == "MoonshineBackbone":
            yield from _places_of_moonshine(backbone, side, kept)
            continue
        if t5:
            yield backbone.get_layer(f"{side}_output_layer_norm"), "call", _after(f"{side}.final_norm", kept)
        else:
            norm = backbone.get_layer(f"{side}_embeddings_layer_norm")
            yield norm, "call", _before(f"{side}.embed", kept)
            yield norm, "call", _after(f"{side}.embed_norm", kept)
        for n in range(backbone.num_layers):
            layer = backbone.get_layer(f"transformer_{side}_layer_{n}")
            if t5 and n == 0:
                yield layer, "call", _before(f"{side}.embed", kept)
                yield layer.self_attention, "compute_bias", _biased(f"{side}.{BIAS}", kept)
            for part, name in (T5 if t5 else BART).items():
                if getattr(layer, part, None) is not None:
                    yield getattr(layer, part), "call", _after(f"{side}.layer.{n}.{name}", kept)


def _places_of_t5gemma(backbone: Any, side: str, kept: Kept) -> Iterator[tuple[Any, str, Any]]:
    """The same of one side of T5Gemma."""
    for n, layer in enumerate(getattr(backbone, f"{side}_layers")):
        if n == 0:
            yield layer, "call", _before(f"{side}.embed", kept)
        for part, name in GEMMA.items():
            if hasattr(layer, part):
                yield getattr(layer, part), "call", _after(f"{side}.layer.{n}.{name}", kept)
    yield getattr(backbone, f"{side}_norm"), "call", _after(f"{side}.final_norm", kept)


def _places_of_moonshine(backbone: Any, side: str, kept: Kept) -> Iterator[tuple[Any, str, Any]]:
    """The same of one side of Moonshine; its encoder begins with the stem."""
    for part, name in STEM.items() if side == "encoder" else ():
        yield getattr(backbone, part), "call", _after(f"encoder.{name}", kept)
    for n, layer in enumerate(getattr(backbone, f"{side}_blocks")):
        if n == 0:
            yield layer, "call", _before(f"{side}.embed", kept)
        for part, name in MOONSHINE.items():
            if part in layer.__dict__:
                yield getattr(layer, part), "call", _after(f"{side}.layer.{n}.{name}", kept)
    last = backbone.encoder_final_layer_norm if side == "encoder" else backbone.decoder_post_norm
    yield last, "call", _after(f"{side}.final_norm", kept)


def _before(name: str, kept: Kept) -> Any:
    """What comes in is kept, of several things the first."""

    def wrap(right: Any) -> Any:
        def call(*args: Any, **keywords: Any) -> Any:
            if not args:
                first = next(iter(keywords))
                return right(**keywords | {first: kept(name, keywords[first])})
            x = (kept(name, args[0][0]), *args[0][1:]) if isinstance(args[0], (tuple, list)) else kept(name, args[0])
            return right(x, *args[1:], **keywords)

        return call

    return wrap


def _after(name: str, kept: Kept) -> Any:
    """What comes out is kept, of several things the first."""

    def wrap(right: Any) -> Any:
        def call(*args: Any, **keywords: Any) -> Any:
            found = right(*args, **keywords)
            return (kept(name, found[0]), *found[1:]) if isinstance(found, tuple) else kept(name, found)

        return call

    return wrap


def _biased(name: str, kept: Kept) -> Any:
    """The bias is kept, which is the same for all rows."""
    return lambda right: lambda *args, **keywords: kept(name, right(*args, **keywords)[0])[None]


@contextlib.contextmanager
def recording(ops: Any, backbone: Any, recorder: Recorder) -> Iterator[None]:
    """Hand every block's output to `recorder` in the block."""

    def kept(name: str, value: Any) -> Any:
        return ops.cast(ops.convert_to_tensor(recorder.seen(name, ops.convert_to_numpy(value))), value.dtype)

    with contextlib.ExitStack() as undo:
        for layer, method, wrap in places_of(backbone, kept):
            right = getattr(layer, method)
            undo.callback(_put_back, layer, method, layer.__dict__.get(method))
            layer.__dict__[method] = functools.wraps(right)(wrap(right))  # Keras looks at its signature
        yield


def _put_back(layer: Any, method: str, before: Any) -> None:
    """The object's own method again, or none of its own."""
    layer.__dict__.pop(method)
    if before is not None:
        layer.__dict__[method] = before
