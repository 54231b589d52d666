"""Samplers by name, and as dictionaries that JSON can hold."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from refimpl.errors import ConfigError, InputError, InputTypeError, SamplerNameError

C = TypeVar("C", bound=type)

NAMES: dict[str, Any] = {}
_BY_CLASS_NAME: dict[str, Any] = {}


def named(name: str) -> Callable[[C], C]:
    """Class decorator: `get(name)` makes this sampler."""

    def add(cls: C) -> C:
        """Enter the class under its short name and under its own."""
        NAMES[name] = _BY_CLASS_NAME[cls.__name__] = cls
        return cls

    return add


def get(identifier: Any) -> Any:
    """A sampler from its name, its class, its dictionary or itself; None stays None.

    Raises: SamplerNameError for an unknown name, ConfigError for a wrong dictionary, InputError for anything else.
    Spec: samplers.get, samplers.get.names, samplers.get.class, samplers.get.object
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return _class_of(identifier, NAMES)()
    found = identifier
    if isinstance(identifier, type):
        try:
            found = identifier()
        except TypeError:  # a class whose constructor needs arguments
            found = None
    if callable(found):
        return found
    raise InputError(
        f"Could not interpret sampler identifier: {identifier!r:.200}.",
        f"A sampler is one of the names {', '.join(sorted(NAMES))}, a dictionary as serialize() gives, or an object.",
        "Pass for example sampler='greedy'.",
        "samplers.get",
    )


def serialize(sampler: Any) -> dict[str, Any]:
    """The dictionary from which `deserialize` builds the sampler again, as KerasHub writes it.

    Spec: samplers.config.serialized
    """
    cls = type(sampler)
    if not callable(getattr(sampler, "get_config", None)) or isinstance(sampler, type):
        raise InputTypeError(
            f"serialize() got {sampler!r:.80}.",
            "It takes a sampler object, which has get_config().",
            "Pass for example samplers.get('greedy').",
            "samplers.config.serialized",
        )
    known = _BY_CLASS_NAME.get(cls.__name__) is cls
    return {
        "module": cls.__module__.replace("refimpl.", "keras_hub.src.", 1) if known else None,
        "class_name": cls.__name__,
        "config": sampler.get_config(),
        "registered_name": f"keras_hub>{cls.__name__}" if known else cls.__name__,
    }


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Build a sampler from `serialize()`'s dictionary. Classes of your own are looked up in `custom_objects`.

    A module that the dictionary names is never imported.

    Raises: SamplerNameError for an unknown class, ConfigError for a dictionary or settings that don't fit.
    Spec: samplers.config.round-trip, samplers.config.class-names, samplers.config.custom-objects
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ConfigError(
            f"The sampler was described by {config!r:.200}.",
            'It must be a dictionary with "class_name" and "config".',
            "Pass what samplers.serialize() gave.",
            "samplers.config.class-names",
        )
    cls: Any = _class_of(config["class_name"], {**NAMES, **_BY_CLASS_NAME, **(custom_objects or {})})
    settings = config.get("config") or {}
    try:
        return cls.from_config(dict(settings))
    except TypeError as error:
        raise ConfigError(
            f"The settings {settings!r:.200} were passed for {cls.__name__}.",
            f"They must be those that its constructor takes ({error}).",
            "Pass what samplers.serialize() gave.",
            "samplers.config.round-trip",
        ) from error


def _class_of(name: str, known: Mapping[str, Any]) -> Any:
    """The class of a name, with or without KerasHub's prefix. Spec: samplers.get"""
    for prefix in ("keras_hub>", "keras_nlp>"):
        name = name.removeprefix(prefix)
    if name in known:
        return known[name]
    raise SamplerNameError(
        f"There is no sampler {name!r}.",
        f"A sampler's name is one of {', '.join(sorted(known))}.",
        "Check the spelling; names are in lower case.",
        "samplers.get",
    )
