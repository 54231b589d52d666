"""Answers `from keras_hub.src.<anywhere> import Name` with the `Name` of `refimpl`."""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any


class Answers(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """All modules of KerasHub are one: what refimpl's rooms hold, and the base class of the tests."""

    def __init__(self, test_case: type) -> None:
        rooms = ("models", "samplers", "tokenizers", "layers")
        self.rooms: list[Any] = [importlib.import_module(f"refimpl.{room}") for room in rooms]
        self.test_case = test_case
        self.rooms[0].Seq2SeqLM._build_cache = build_cache

    def install(self) -> None:
        """Before the finders of installed packages, so that an installed KerasHub is not asked."""
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Every module whose name begins with KerasHub's."""
        if name.partition(".")[0] != "keras_hub":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """A module holds nothing; it looks its names up."""
        module.__getattr__ = self.named  # type: ignore[method-assign]

    def named(self, name: str) -> Any:
        """What a test imports. Raises: AttributeError, which `import` tells as an ImportError."""
        if name == "TestCase":
            return self.test_case
        for room in self.rooms:
            if hasattr(room, name):
                return getattr(room, name)
        raise AttributeError(f"refimpl has no {name}")


def build_cache(lm: Any, encoder_ids: Any, encoder_mask: Any, decoder_ids: Any) -> tuple[Any, ...]:
    """KerasHub's private method, which a test calls, by those that are here too."""
    states = lm.call_encoder(token_ids=encoder_ids, padding_mask=encoder_mask)
    own, cross = lm._initialize_cache(encoder_ids, decoder_ids)
    _, hidden, own, cross = lm.call_decoder_with_cache(states, encoder_mask, decoder_ids, own, 0, cross, 0)
    return hidden, states, own, cross


class OneCache:
    """T5Gemma's `call_decoder_with_cache` as KerasHub has it: both caches as one, until a test replaces it."""

    def __get__(self, lm: Any, cls: type) -> Any:
        """KerasHub's form for the test; of what the test put there, the form that the loop takes."""
        own = vars(lm).get("call_decoder_with_cache")

        def called(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
            if own:
                logits, states, caches = own(*args, **kwargs)
                return logits, states, *caches
            logits, states, *caches = super(cls, lm).call_decoder_with_cache(*args, **kwargs)
            return logits, states, caches

        return called

    def __set__(self, lm: Any, own: Any) -> None:
        vars(lm)["call_decoder_with_cache"] = own

    def __delete__(self, lm: Any) -> None:
        del vars(lm)["call_decoder_with_cache"]


@contextlib.contextmanager
def one_cache() -> Iterator[None]:
    """T5Gemma with `OneCache` in the block."""
    cls = importlib.import_module("refimpl.models").T5GemmaSeq2SeqLM
    cls.call_decoder_with_cache = OneCache()
    try:
        yield
    finally:
        del cls.call_decoder_with_cache


def module_from(path: Path) -> ModuleType:
    """A test file as a module of its own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
