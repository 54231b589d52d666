"""Configurations: frozen records whose fields say what they may be, with one check and one error for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar

from refimpl.errors import ConfigError

Fits = Callable[[Any], bool]


def value(must: str, fits: Fits, default: Any = MISSING, read: Any = None, written: Any = None) -> Any:
    """A field that must be what `fits` accepts. `read` takes it from what Keras writes, `written` is the way back."""
    same = lambda given: given  # noqa: E731
    rule = {"must": must, "fits": fits, "read": read or same, "written": written or same}
    return dataclasses.field(default=default, metadata=rule)


def size(least: int = 1, default: Any = MISSING) -> Any:
    """A field that counts something; it may be None if that is its default."""
    optional = ", or None" if default is None else ""

    def fits(given: Any) -> bool:
        return (type(given) is int and given >= least) or (given is None and default is None)

    return value(f"a whole number of at least {least}{optional}", fits, default)


def number(default: Any, least: float = 0.0, below: float = float("inf")) -> Any:
    """A field that measures something; it may be None if that is its default."""

    def fits(given: Any) -> bool:
        return (type(given) in (int, float) and least <= given < below) or (given is None and default is None)

    must = f"a number from {least:g} to below {below:g}{', or None' if default is None else ''}"
    return value(must, fits, default)


def switch(default: bool) -> Any:
    """A field that is True or False."""
    return value("True or False", lambda given: type(given) is bool, default)


def choice(known: Iterable[str], default: str, read: Any = None, written: Any = None) -> Any:
    """A field that is one of some names."""
    names = tuple(known)
    return value(f"one of {', '.join(names)}", lambda given: given in names, default, read, written)


@dataclass(frozen=True)
class Config:
    """The configuration of a backbone, checked when it is made."""

    clause: ClassVar[str]
    logit_cap: ClassVar[Any] = None  # the soft cap of the logits

    def __post_init__(self) -> None:
        """Raises: ConfigError that names each value that can't be."""
        wrong = {}
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, field.metadata["read"](getattr(self, field.name)))
            if not field.metadata["fits"](getattr(self, field.name)):
                wrong[field.name] = f"{field.name} must be {field.metadata['must']}"
        broken = list(wrong.values()) or [rule for rule, holds in self.rules() if not holds]
        if broken:
            given = {key: getattr(self, key) for key in wrong} or dataclasses.asdict(self)
            raise ConfigError(
                f"{type(self).__name__.replace('Config', 'Backbone')} got {given}.",
                f"{'; '.join(broken)}.",
                "Check the constructor's arguments or config.json.",
                self.clause,
            )

    @property
    def head_dim(self: Any) -> int:
        """The width of a head."""
        return self.hidden_dim // self.num_heads

    def side(self, side: str, name: str) -> Any:
        """A value of the encoder or of the decoder, where they may differ."""
        own = f"{side}_{name}"
        return getattr(self, own if hasattr(self, own) else name)

    def rules(self) -> Iterator[tuple[str, bool]]:
        """What must hold between values, each with whether it does."""
        yield "a head has at least one dimension: hidden_dim is at least num_heads", self.head_dim > 0

    def written(self) -> dict[str, Any]:
        """The values as Keras writes them."""
        return {f.name: f.metadata["written"](getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the values."""
        return tuple(field.name for field in dataclasses.fields(cls))
