"""The architectures that transformers has too, and how it words their configurations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from refimpl.errors import ConfigError

Values = Mapping[str, Any]
CONVERTER_FILE, CONVERTER_KEYS = "preprocessor_config.json", ("sampling_rate", "padding_value", "do_normalize")


@dataclass(frozen=True)
class Family:
    """How transformers words an architecture; `backbone` is the name of KerasHub's class.

    `keys` gives transformers' key and its default for each of KerasHub's, `aliases` other names of those keys, `fixed`
    what KerasHub's class is built as, `equal` pairs that it has one number for, with what must hold, `defaults` what
    else transformers fills in. `read` and `written` do what such tables can't.
    """

    model_type: str
    backbone: str
    architecture: str
    assets: tuple[str, ...]  # of the tokenizer
    keys: Mapping[str, tuple[str, Any]]
    aliases: Mapping[str, str]
    fixed: Values
    equal: tuple[tuple[str, str, str], ...]
    written: Callable[[Values], Values]
    special_ids: Mapping[str, str]  # the tokenizer's attributes, by transformers' names
    read: Callable[[Values, str], Values] = lambda _given, _file: {}
    defaults: Values = field(default_factory=dict)
    generation: Mapping[str, str | None] = field(default_factory=dict)  # what makes `generate` start as ours does
    sentence_piece: str = "spiece.model"  # the file of the tokenizer's model, if it is one of SentencePiece
    tokenizer_class: str = "GemmaTokenizer"  # what reads that file, if it is not T5's
    converter: str = ""  # KerasHub's class of what makes sound a model's input
    prefix: str = ""  # what names of tensors start with in a model with a head
    unused: tuple[str, ...] = ()  # tensors that are not read
    zero: tuple[str, ...] = ()  # tensors that are not read and must be zero

    def backbone_config(self, config: Values, file: str) -> dict[str, Any]:
        """KerasHub's configuration. Keys that are not there have transformers' default, as in transformers.

        Raises: ConfigError for a number that stands under two names and is not one, and for what the class can't be.
        Spec: presets.transformers.config, presets.transformers.aliases, presets.transformers.refused
        """
        given = {key: value for key, value in config.items() if value is not None}
        for other, key in self.aliases.items():
            if other in given and given[other] != given.setdefault(key, given[other]):
                raise self.contradiction(given, other, key, file)
        for key, fixed in self.fixed.items():
            if key in given and (type(given[key]) is not type(fixed) or given[key] != fixed):
                raise self.refused(file, f"{key}={given[key]!r:.40}", f"{key}={fixed!r}")
        known = dict(self.keys.values()) | dict(self.defaults) | given
        for key, other, wanted in self.equal:
            ids = known[other]
            if key in known and known[key] != (ids[0] if isinstance(ids, list) and ids else ids):
                raise self.contradiction(known, key, other, file, wanted)
        return {ours: known[theirs] for ours, (theirs, _) in self.keys.items()} | dict(self.read(given, file))

    def transformers_config(self, config: Values, tokenizer: Any, dtype: str) -> dict[str, Any]:
        """The configuration for transformers, with the ids of the tokenizer's special tokens if there is one.

        Spec: presets.export.config
        """
        written = in_their_types(config, self.keys) | dict(self.written(config))
        head = {"model_type": self.model_type, "architectures": [self.architecture], "dtype": dtype}
        return head | written | ({} if tokenizer is None else self.ids(tokenizer))

    def ids(self, tokenizer: Any) -> dict[str, int]:
        """The ids of special tokens, by transformers' names."""
        return {theirs: getattr(tokenizer, f"{ours}_id") for theirs, ours in self.special_ids.items()}

    def generation_settings(self, tokenizer: Any) -> dict[str, int | None]:
        """What makes transformers' `generate` start as ours does."""
        return {key: getattr(tokenizer, f"{ours}_id") if ours else None for key, ours in self.generation.items()}

    def contradiction(
        self, given: Values, key: str, other: str, file: str, wanted: str = "one of the two"
    ) -> ConfigError:
        """The error for two values that do not agree."""
        return self.refused(file, f"{key}={given[key]!r:.40} beside {other}={given[other]!r:.40}", wanted)

    def refused(self, file: str, has: str, wanted: str) -> ConfigError:
        """The error for what KerasHub's class can't be."""
        return ConfigError(
            f"{file} has {has}.",
            f"KerasHub's {self.backbone.removesuffix('Backbone')} is built with {wanted}; "
            "anything else would give other numbers.",
            "Use a checkpoint of that form.",
            "presets.transformers.refused",
        )


def in_their_types(config: Values, keys: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Values by transformers' keys, in the types of its defaults: it takes no 256.0 for 256, nor 1 for 1.0."""
    typed = {ours: type(default)(config[ours] or 0) for ours, (_, default) in keys.items()}
    return {theirs: typed[ours] if typed[ours] == config[ours] else config[ours] for ours, (theirs, _) in keys.items()}


FAMILIES: dict[str, Family] = {}  # by transformers' `model_type`; a backbone that has a family brings it here


def family_of(backbone: str) -> Family | None:
    """The family of a backbone's class name, if transformers has the architecture."""
    return next((family for family in FAMILIES.values() if backbone == family.backbone), None)
