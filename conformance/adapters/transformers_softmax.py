"""Attention of transformers in the type of its input, for the truth in float64."""

from typing import Any


def softmax_in_doubles(torch: Any, module: Any) -> None:
    """Let the eager attention of a model's module take softmax in float64: it asks for float32 whatever the type."""
    right = module.nn.functional.softmax

    def attention(*args: Any, **named: Any) -> Any:
        module.nn.functional.softmax = lambda x, dim, dtype: right(
            x, dim=dim, dtype=torch.promote_types(x.dtype, dtype)
        )
        try:
            return eager(*args, **named)
        finally:
            module.nn.functional.softmax = right

    eager = getattr(module.eager_attention_forward, "right", module.eager_attention_forward)
    attention.right = eager  # type: ignore[attr-defined]
    module.eager_attention_forward = attention
