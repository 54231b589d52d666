"""Samplers by name."""

from typing import Any

from refimpl.errors import InputError
from refimpl.samplers.greedy_sampler import GreedySampler

NAMES: dict[str, type] = {"greedy": GreedySampler}


def get(identifier: Any) -> Any:
    """A sampler from its name, its class or itself.

    Raises: InputError for anything else.
    Spec: samplers.get
    """
    if isinstance(identifier, str) and identifier in NAMES:
        return NAMES[identifier]()
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise InputError(
        f"Could not interpret sampler identifier: {identifier!r}.",
        f"A sampler is one of the names {', '.join(NAMES)}, or an object.",
        "Check the spelling; names are in lower case.",
        "samplers.get",
    )
