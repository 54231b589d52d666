"""The tensors inside BART of `transformers`, by hooks on its modules."""

import contextlib
from collections.abc import Iterator
from typing import Any

from conformance.probes import Recorder

PARTS = {"self_attn": "self_attention", "self_attn_layer_norm": "self_attention_norm",
         "encoder_attn": "cross_attention", "encoder_attn_layer_norm": "cross_attention_norm", "fc2": "feed_forward",
         "final_layer_norm": "feed_forward_norm"}  # fmt: skip


@contextlib.contextmanager
def recording(torch: Any, model: Any, recorder: Recorder) -> Iterator[None]:
    """Hand every block's output to `recorder` in the block."""

    def kept(name: str, value: Any) -> Any:
        found = recorder.seen(name, value.detach().double().numpy())
        return torch.tensor(found, dtype=value.dtype)

    def before(name: str) -> Any:
        return lambda _module, args: (kept(name, args[0]), *args[1:])

    def after(name: str) -> Any:
        def hook(_module: Any, _args: Any, out: Any) -> Any:
            return (kept(name, out[0]), *out[1:]) if isinstance(out, tuple) else kept(name, out)

        return hook

    with contextlib.ExitStack() as hooks:
        for side in ("encoder", "decoder"):
            stack = getattr(model.model, side)
            norm = stack.layernorm_embedding
            handles = [norm.register_forward_pre_hook(before(f"{side}.embed"))]
            handles.append(norm.register_forward_hook(after(f"{side}.embed_norm")))
            for n, layer in enumerate(stack.layers):
                present = {part: name for part, name in PARTS.items() if hasattr(layer, part)}
                handles += [
                    getattr(layer, part).register_forward_hook(after(f"{side}.layer.{n}.{name}"))
                    for part, name in present.items()
                ]
            for handle in handles:
                hooks.callback(handle.remove)
        yield
