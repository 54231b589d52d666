"""The tensors inside the models of `transformers`, by hooks on its modules."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from conformance.suite.probes import BIAS, SIDES, Recorder

BART = {"self_attn": "self_attention", "self_attn_layer_norm": "self_attention_norm",
        "encoder_attn": "cross_attention", "encoder_attn_layer_norm": "cross_attention_norm", "fc2": "feed_forward",
        "final_layer_norm": "feed_forward_norm"}  # fmt: skip
T5 = {"SelfAttention": "self_attention", "EncDecAttention": "cross_attention", "DenseReluDense": "feed_forward"}
GEMMA = {"self_attn": "self_attention", "cross_attn": "cross_attention", "mlp": "feed_forward"}
MOONSHINE = {"self_attn": "self_attention", "encoder_attn": "cross_attention", "mlp": "feed_forward"}
Kept = Callable[[str, Any], Any]


def modules_of_bart(model: Any) -> Iterator[tuple[str, Any]]:
    """Each tensor's name and the module that gives it; before an arrow the one that takes it."""
    for side in SIDES:
        stack = getattr(model.model, side)
        yield f"> {side}.embed", stack.layernorm_embedding
        yield f"{side}.embed_norm", stack.layernorm_embedding
        for n, layer in enumerate(stack.layers):
            present = (part for part in BART if hasattr(layer, part))
            yield from ((f"{side}.layer.{n}.{BART[part]}", getattr(layer, part)) for part in present)


def modules_of_t5(model: Any) -> Iterator[tuple[str, Any]]:
    """The same of T5."""
    for side in SIDES:
        stack = getattr(model, side)
        for n, block in enumerate(stack.block):
            if n == 0:
                yield f"> {side}.embed", block
            for layer in block.layer:
                part = next(part for part in T5 if hasattr(layer, part))
                yield f"{side}.layer.{n}.{T5[part]}_norm", layer.layer_norm
                yield f"{side}.layer.{n}.{T5[part]}", getattr(layer, part)
        yield f"{side}.final_norm", stack.final_layer_norm


def modules_of_t5gemma(model: Any) -> Iterator[tuple[str, Any]]:
    """The same of T5Gemma, whose parts have a norm before and one behind."""
    for side in SIDES:
        stack = getattr(model.model, side)
        for n, layer in enumerate(stack.layers):
            if n == 0:
                yield f"> {side}.embed", layer
            for part, name in GEMMA.items():
                if hasattr(layer, part):
                    norm = "feedforward" if part == "mlp" else part
                    yield f"{side}.layer.{n}.{name}_norm", getattr(layer, f"pre_{norm}_layernorm")
                    yield f"{side}.layer.{n}.{name}", getattr(layer, part)
                    yield f"{side}.layer.{n}.{name}_post_norm", getattr(layer, f"post_{norm}_layernorm")
        yield f"{side}.final_norm", stack.norm


def modules_of_moonshine(model: Any) -> Iterator[tuple[str, Any]]:
    """The same of Moonshine: the stem's blocks as they enter the next one, with time before channels."""
    stem = model.model.encoder
    places = (("conv1", stem.groupnorm), ("norm", stem.conv2), ("conv2", stem.conv3))
    yield from ((f"> encoder.stem.{name}", module) for name, module in places)
    for side in SIDES:
        stack = getattr(model.model, side)
        for n, layer in enumerate(stack.layers):
            if n == 0:
                yield f"> {side}.embed", layer
            norms = (getattr(layer, f"{name}_layernorm", None) for name in ("input", "post_attention", "final"))
            for part, name in MOONSHINE.items():
                if hasattr(layer, part):
                    yield f"{side}.layer.{n}.{name}_norm", next(norms)
                    yield f"{side}.layer.{n}.{name}", getattr(layer, part)
        yield f"{side}.final_norm", stack.layer_norm if side == "encoder" else stack.norm


@contextlib.contextmanager
def recording(torch: Any, model: Any, recorder: Recorder) -> Iterator[None]:
    """Hand every block's output to `recorder` in the block."""

    def kept(name: str, value: Any) -> Any:
        array = value.detach().double().numpy()
        stem = ".stem." in name  # of which transformers has the channels before the time
        found = np.asarray(recorder.seen(name, array.swapaxes(1, 2) if stem else array))
        return torch.tensor(found.swapaxes(1, 2) if stem else found, dtype=value.dtype)

    def before(name: str) -> Any:
        return lambda _module, args: (kept(name, args[0]), *args[1:])

    def after(name: str) -> Any:
        def hook(_module: Any, _args: Any, out: Any) -> Any:
            return (kept(name, out[0]), *out[1:]) if isinstance(out, tuple) else kept(name, out)

        return hook

    t5 = "T5For" in type(model).__name__
    kinds = {"T5Gemma": modules_of_t5gemma, "T5For": modules_of_t5, "Moonshine": modules_of_moonshine}
    modules = next((of for kind, of in kinds.items() if kind in type(model).__name__), modules_of_bart)
    with contextlib.ExitStack() as hooks:
        for name, module in modules(model):
            taken = name.startswith("> ")
            add = module.register_forward_pre_hook if taken else module.register_forward_hook
            hooks.callback(add((before if taken else after)(name.removeprefix("> "))).remove)
        for side in SIDES if t5 else ():
            hooks.enter_context(_biased(getattr(model, side).block[0].layer[0].SelfAttention, f"{side}.{BIAS}", kept))
        yield


@contextlib.contextmanager
def _biased(attention: Any, name: str, kept: Kept) -> Iterator[None]:
    """Keep the bias of a stack, which is the same for all rows."""
    right = attention.compute_bias
    attention.compute_bias = lambda *args, **keywords: kept(name, right(*args, **keywords)[0])[None]
    try:
        yield
    finally:
        del attention.compute_bias
