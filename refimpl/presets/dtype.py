"""Data types by the names and objects that presets and callers use."""

from typing import Any

import numpy as np

from refimpl.errors import ConfigError

COMPUTE_DTYPES = ("float32", "float64", "float16")


def compute_dtype(dtype: Any) -> str:
    """The name of the type to compute in; `None` is float32, as everything saved comes back in the global policy.

    Spec: presets.load.dtype
    """
    if dtype is None:
        return "float32"
    try:
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    if name not in COMPUTE_DTYPES:
        raise ConfigError(
            f"dtype={dtype!r} was passed.",
            f"refimpl computes in {', '.join(COMPUTE_DTYPES)}.",
            'Use dtype="float32", or dtype="float64" for the oracle.',
            "presets.load.dtype",
        )
    return name


def dtype_policy(name: str) -> dict[str, Any]:
    """The serialized Keras policy of that name."""
    return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}
