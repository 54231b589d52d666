"""Which models the kernels can run: those whose methods are this project's own.

Nothing here imports Numba, so that asking costs nothing.
"""

import os
from typing import Any

import numpy as np

_OWN = ("refimpl.models.", "refimpl.samplers.")
_WORTH_COMPILING = 10_000_000  # parameters; a smaller model answers before Numba is even imported
# By module and name of the class whose definition a record of `records` repeats.
RECORDS = {
    ("refimpl.models.bart.backbone", "BartBackbone"): "Bart",
    ("refimpl.models.t5.backbone", "T5Backbone"): "T5",
    ("refimpl.models.t5gemma.backbone", "T5GemmaBackbone"): "T5Gemma",
    ("refimpl.models.moonshine.backbone", "MoonshineBackbone"): "Moonshine",
}
_TASK_METHODS = ("call_decoder_with_cache", "_initialize_cache", "_encode")
_BACKBONE_METHODS = (
    "decode", "decoder_layer", "attend", "transform", "feed_forward", "norm", "position_bias", "cross_keys_values",
    "attention", "attention_of", "layers_of", "logits", "scope", "embed", "head", "final_norm",
)  # fmt: skip


def record_of(model: Any) -> str:
    """The name of the record in `records` that a model's kernels read, or "" if the definition must run.

    That is so for other types than float32, for unknown architectures, and where a subclass or an instance has a
    method of its own in place of one that the layers repeat. A sampler with a loop of its own gets the definition's
    cache. Without Numba's compiler (NUMBA_DISABLE_JIT) the definition runs as well.
    """
    backbone = model.backbone
    name = RECORDS.get(_defining_class(backbone, "attend"), "")
    fits = (
        name
        and wanted(model)
        and _compiles()
        and backbone.dtype == "float32"
        and all(type(w) is np.ndarray and w.dtype == np.float32 for w in backbone.params.values())
        and min(backbone.depth("encoder"), backbone.depth("decoder")) > 0
        and not replaced(model.sampler, ("__call__",))
        and not replaced(model, _TASK_METHODS)
        and not replaced(backbone, _BACKBONE_METHODS)
    )
    return name if fits else ""


def _compiles() -> bool:
    """Whether Numba is told to compile. Source: Numba's documentation of NUMBA_DISABLE_JIT"""
    return os.environ.get("NUMBA_DISABLE_JIT", "0").strip() in ("", "0")


def wanted(model: Any) -> bool:
    """What `compile` was told. "auto" asks for the model's size alone: a row gets the same bits in any batch."""
    choice = getattr(model, "jit_compile", True)
    return model.backbone.count_params() >= _WORTH_COMPILING if choice == "auto" else bool(choice)


def _defining_class(thing: Any, method: str) -> tuple[str, str]:
    """Module and name of the class that a method comes from."""
    found = next((cls for cls in type(thing).__mro__ if method in vars(cls)), object)
    return found.__module__, found.__name__


def replaced(thing: Any, names: tuple[str, ...]) -> bool:
    """Whether a method is not this project's: defined in a user's class, put on a class or on an instance."""
    for name in names:
        if name in vars(thing):
            return True
        found = getattr(type(thing), name)
        function = found.fget if isinstance(found, property) else found
        if not str(getattr(function, "__module__", "")).startswith(_OWN):
            return True
    return False
