"""Classes by the name under which a preset's JSON files call them."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

from refimpl.errors import PresetError
from refimpl.presets.builtin import BUILTIN
from refimpl.presets.families import FAMILIES, Family
from refimpl.presets.folder import CONFIG_FILE, PresetFolder

C = TypeVar("C", bound=type)

_classes: dict[str, type] = {}


def register(cls: C) -> C:
    """Class decorator: presets may name this class. KerasNLP's and KerasHub's prefixes both lead here.

    Spec: presets.config.registered-name
    """
    _classes[cls.__name__] = cls
    if isinstance(family := vars(cls).get("family"), Family):
        FAMILIES[family.model_type] = family
    return cls


def registered_name(cls: type) -> str:
    """The name that KerasHub writes for `cls`; a user's own subclass is saved as the class that it extends."""
    for ancestor in cls.__mro__:
        if _classes.get(ancestor.__name__) is ancestor:
            return f"keras_hub>{ancestor.__name__}"
    raise PresetError(
        f"The class {cls.__name__} is not registered.",
        "Only registered classes can be saved.",
        "Derive it from a class of refimpl, or decorate it with refimpl.presets.register.",
        "presets.config.registered-name",
    )


def serialized(thing: Any) -> dict[str, Any]:
    """An object of a registered class as KerasHub writes it into JSON; `find_class` is the way back."""
    name = registered_name(type(thing))
    return {
        "module": type(thing).module,
        "class_name": name.removeprefix("keras_hub>"),
        "config": thing.get_config(),
        "registered_name": name,
    }


def find_class(described: Mapping[str, Any], file: str) -> Any:
    """The class that a serialized object (`{"class_name", "config", "registered_name"}`) names.

    Only the registry is asked: the `module` of the JSON is never imported.

    Raises: PresetError if no class has that name.
    Spec: presets.config.registered-name
    """
    name = described.get("registered_name") or described.get("class_name")
    package, _, short = name.rpartition(">") if isinstance(name, str) else ("?", "", "?")
    if package in ("keras_hub", "keras_nlp", "") and short in _classes:
        return _classes[short]
    raise PresetError(
        f"{file} names the class {name!r}.",
        f"It must be one of {', '.join(sorted(_classes))}.",
        "Use a preset of a supported architecture.",
        "presets.config.unknown-class",
    )


def part_of(cls: Any, folder: PresetFolder, file: str, kind: str, clause: str) -> tuple[Any, Mapping[str, Any], Any]:
    """The class that a preset's file names, which must be `cls` or derive from it, what names it and its configuration.

    Raises: PresetError for another one.
    """
    described, config = folder.described(file)
    found = find_class(described, str(folder.path / file))
    if not issubclass(found, cls):
        raise PresetError(
            f"The {kind} of {folder} is a {found.__name__}.",
            f"{cls.__name__}.from_preset takes a preset whose {kind} is a {cls.__name__}.",
            f"Call {found.__name__}.from_preset.",
            clause,
        )
    return found, described, config


class Configured:
    """Something that is built from its configuration."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build from `get_config()`, with fresh weights. A tokenizer's vocabulary is no part of a configuration.

        Spec: task.from-config
        """
        given = {key: value for key, value in config.items() if key not in ("dtype", "config_file")}
        nested = {key: value for key, value in given.items() if isinstance(value, Mapping)}
        parts = {k: find_class(v, "The configuration").from_config(v["config"]) for k, v in nested.items()}
        return cls(**(given | parts))


def subclasses(cls: Any) -> list[Any]:
    """Registered classes that are `cls` or derive from it, by name."""
    return [_classes[name] for name in sorted(_classes) if issubclass(_classes[name], cls)]


def class_for(cls: Any, folder: PresetFolder, base: str, clause: str) -> Any:
    """`cls`, or the class that derives from it, that belongs to the backbone of a preset.

    `base` is the class that a caller who chose wrongly should ask, `clause` what says so.

    Raises: PresetError if there is none.
    """
    backbone = find_class(folder.json(CONFIG_FILE), str(folder.path / CONFIG_FILE)).__name__
    for candidate in (cls, *subclasses(cls)):
        if _backbone_name(candidate) == backbone:
            return candidate
    raise PresetError(
        f"Unable to find a subclass of {cls.__name__} that is compatible with {backbone} found in preset '{folder}'.",
        "The preset's architecture must be the one of the class.",
        f"Call {base}.from_preset, which finds the class by itself.",
        clause,
    )


def presets_of(cls: Any) -> dict[str, Any]:
    """Built-in presets of `cls` and of its registered subclasses: name -> metadata and handle.

    Spec: presets.builtin.listed
    """
    backbones = {_backbone_name(member) for member in [*subclasses(cls), cls]}
    found = {name: entry for backbone in backbones for name, entry in BUILTIN.get(backbone, {}).items()}
    return copy.deepcopy(dict(sorted(found.items())))


def _backbone_name(cls: Any) -> str:
    """The name of the backbone that a class belongs to: a task has it, a tokenizer names it, a backbone is it."""
    backbone = getattr(cls, "backbone_cls", None)
    return backbone.__name__ if backbone is not None else getattr(cls, "backbone_name", "") or cls.__name__


def tasks_of(backbone: type) -> list[str]:
    """What can be done with a backbone: the names of the bases of its tasks, as KerasHub's metadata has them.

    Spec: presets.save.metadata
    """
    tasks = [cls for cls in _classes.values() if getattr(cls, "backbone_cls", None) is backbone]
    return sorted({str(task.__base__.__name__) for task in tasks if task.__base__ is not None})


class classproperty:
    """A read-only property of the class: `BartSeq2SeqLM.presets`, as KerasHub has it."""

    def __init__(self, getter: Callable[[Any], Any]) -> None:
        self.getter = getter
        self.__doc__ = getter.__doc__

    def __get__(self, instance: object, owner: type) -> Any:
        return self.getter(owner)
