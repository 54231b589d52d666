"""Data types by the names and objects that presets and callers use."""

from typing import Any

import numpy as np

from refimpl.errors import ConfigError, PresetError

COMPUTE_DTYPES = ("float32", "float64", "float16")


def compute_dtype(dtype: Any) -> str:
    """The name of the type to compute in; `None` is float32, as everything saved comes back in the global policy.

    Spec: presets.load.dtype
    """
    if dtype is None:
        return "float32"
    name = policy_name(dtype)  # `get_config` writes a policy
    if not isinstance(name, str):
        try:
            name = np.dtype(dtype).name
        except (TypeError, ValueError):
            name = repr(dtype)
    if name not in COMPUTE_DTYPES:
        raise ConfigError(
            f"dtype={dtype!r} was passed.",
            f"refimpl computes in {', '.join(COMPUTE_DTYPES)}.",
            'Use dtype="float32", or dtype="float64" for the oracle.',
            "presets.load.dtype",
        )
    return name


def policy_name(dtype: Any) -> Any:
    """The name in a serialized Keras policy; anything else as it is."""
    if not isinstance(dtype, dict):
        return dtype
    config = dtype.get("config")
    return config.get("name") if isinstance(config, dict) else config


def refuse_quantized(dtype: Any, preset: object) -> None:
    """A preset whose weights are no floats has a map of policies in place of one.

    Raises: PresetError.
    Spec: presets.load.quantized
    """
    if isinstance(dtype, dict) and dtype.get("class_name") not in ("DTypePolicy", "FloatDTypePolicy", None):
        raise PresetError(
            f"The preset {preset} has a dtype of class {dtype.get('class_name')!r:.60}.",
            "refimpl computes in floats; quantized presets are KerasHub's own.",
            "Use the preset that was not quantized.",
            "presets.load.quantized",
        )


def dtype_policy(name: str) -> dict[str, Any]:
    """The serialized Keras policy of that name."""
    return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}
