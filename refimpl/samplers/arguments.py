"""What a sampler's settings must be, checked when the sampler is made."""

from math import isnan
from numbers import Real
from typing import Any

import numpy as np

from refimpl.errors import ConfigError


def checked_temperature(value: Any) -> Any:
    """A number from 0 on; 0 stands for "always the most probable token". Spec: samplers.temperature.range"""
    if not _is_number(value) or value < 0:
        raise ConfigError(
            f"temperature={value!r} was passed.",
            "It must be a number that is not below 0.",
            "Pass 1.0 for the model's own distribution, less for safer and more for wilder tokens.",
            "samplers.temperature.range",
        )
    return value


def checked_count(name: str, value: Any) -> Any:
    """A whole number from 1 on. Spec: samplers.settings.counts"""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ConfigError(
            f"{name}={value!r} was passed.",
            "It must be a whole number of at least 1.",
            f"Pass for example {name}=5.",
            "samplers.settings.counts",
        )
    return value


def checked_fraction(name: str, value: Any) -> Any:
    """A number from 0 to 1. Spec: samplers.settings.fractions"""
    if not _is_number(value) or not 0 <= value <= 1:
        raise ConfigError(
            f"{name}={value!r} was passed.",
            "It must be a number from 0 to 1.",
            f"Pass for example {name}=0.9.",
            "samplers.settings.fractions",
        )
    return value


def built(cls: Any, settings: Any) -> Any:
    """A sampler from its settings, which must be those of its constructor. Spec: samplers.config.round-trip"""
    try:
        return cls(**settings)
    except TypeError as error:
        raise ConfigError(
            f"The settings {settings!r:.200} were passed for {cls.__name__}.",
            f"They must be those that its constructor takes ({error}).",
            "Pass what get_config() gave.",
            "samplers.config.round-trip",
        ) from error


def _is_number(value: Any) -> bool:
    """A real number that is not NaN; True and False are none."""
    return isinstance(value, (Real, np.floating)) and not isinstance(value, (bool, np.bool_)) and not isnan(value)
