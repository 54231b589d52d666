"""Every error that `refimpl` raises on purpose.

Each message says what was passed, what must hold and how to mend it, and ends with the id of the clause that asks
for it. Each class is also a subclass of the exception that KerasHub raises at the same place, so that code written
for KerasHub (`except ValueError:`) still works.
"""

import json
from collections.abc import Callable
from typing import Any


class RefimplError(Exception):
    """The root of all named errors.

    Args are three sentences: `what` was passed, what `must` hold, the `mend`; and the id of the `clause`.
    """

    def __init__(self, what: str, must: str, mend: str, clause: str = "") -> None:
        # What was passed may show itself in several lines (an array does); an error is one line all the same.
        self.what, self.must, self.mend = (" ".join(map(str.strip, part.splitlines())) for part in (what, must, mend))
        self.clause = clause
        # Not `super()`: the classes further on (JSONDecodeError, ...) take arguments of their own.
        Exception.__init__(self, str(self))

    def __str__(self) -> str:
        text = " ".join(part.strip() for part in (self.what, self.must, self.mend) if part)
        return f"{text} [{self.clause}]" if self.clause else text

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        """Errors cross process borders (workers, pytest-xdist) with their parts."""
        return type(self), (self.what, self.must, self.mend, self.clause)


class InputError(RefimplError, ValueError):
    """A value that has the right type and is wrong all the same."""


class InputTypeError(RefimplError, TypeError, ValueError):
    """A value of a type that is not taken here."""


class MissingInputError(RefimplError, KeyError, ValueError):
    """A dictionary without a key that is needed."""

    __str__ = RefimplError.__str__  # KeyError would show the quoted repr


class TokenIdError(RefimplError, IndexError, ValueError):
    """A token id outside the vocabulary."""


class NegativeTokenIdError(TokenIdError, OverflowError):
    """A token id below zero."""


class UnknownTokenError(RefimplError, KeyError, ValueError):
    """A token that the vocabulary does not hold."""

    __str__ = RefimplError.__str__


class SequenceLengthError(RefimplError, ValueError):
    """A sequence longer than the model's position table, or a length that is no length."""


class StopTokenIdsError(RefimplError, ValueError, TypeError, IndexError):
    """`stop_token_ids` that are neither `None`, `"auto"` nor a list or tuple of ids."""


class NoPreprocessorError(RefimplError, ValueError):
    """Something that only a task with a preprocessor can do."""


class NotImplementedByModelError(RefimplError, NotImplementedError):
    """A method that a subclass must define."""


class ConfigError(RefimplError, ValueError):
    """A configuration value that can't be."""


class PresetError(RefimplError, ValueError):
    """A preset that can't be used: wrong identifier, wrong class, wrong content."""


class PresetFileNotFoundError(RefimplError, FileNotFoundError):
    """A file that the preset must have and has not."""


class NotAPresetError(PresetError, FileNotFoundError):
    """A place without `config.json`, so no preset."""


class PresetUnreadableError(PresetError, OSError):
    """A file of the preset that can't be read as what its name says."""


class HubError(PresetError, OSError):
    """A hub that can't be reached, or that refuses or fails."""


class MissingHubClientError(RefimplError, ImportError):
    """A handle of a hub whose client package is not installed."""


class MissingMetricPackageError(RefimplError, ImportError):
    """A metric of texts whose package is not installed."""


class PresetJSONError(PresetError, json.JSONDecodeError):
    """A JSON file of the preset that is no JSON, or not the JSON that it must be."""

    def __init__(self, what: str, must: str, mend: str, clause: str = "") -> None:
        json.JSONDecodeError.__init__(self, what, "", 0)
        RefimplError.__init__(self, what, must, mend, clause)


class WeightsError(PresetError):
    """A weight that is missing, too much, or of another shape or type than the configuration asks for."""


class UnsafePresetError(PresetError):
    """A preset that leads out of its folder, or claims more memory than its files hold."""


class SavingError(RefimplError, OSError):
    """A preset that could not be saved; what was there before is unchanged."""


class SamplerNameError(RefimplError, KeyError, ValueError):
    """A sampler name that is not known."""

    __str__ = RefimplError.__str__


class SeedError(RefimplError, OverflowError, ValueError):
    """A seed that is no whole number of 32 bits."""


class TruncationWarning(UserWarning):
    """A text was longer than the sequence length and lost its end."""


class NotANumberWarning(UserWarning):
    """Tokens are chosen from logits that are NaN."""


class AudioLengthWarning(UserWarning):
    """A recording is shorter or longer than those that the model was made for."""


class TrainingDataError(RefimplError, ValueError):
    """Training data that can't be used: empty, of different lengths, unreadable."""


class LabelError(RefimplError, ValueError, IndexError):
    """A label outside the vocabulary."""


class NonFiniteError(RefimplError, FloatingPointError):
    """A loss or a gradient that is infinite or not a number."""


class CheckpointError(PresetError):
    """A training state that is missing, or belongs to another model or optimizer."""


class UnsupportedError(RefimplError, AttributeError, NotImplementedError):
    """Something of Keras's that is not here; what to use instead is named."""


def not_here(kind: str, known: list[str], clause: str) -> Callable[[str], Any]:
    """A module's `__getattr__` that names Keras's classes which it has not."""

    def missing(name: str) -> Any:
        if not name[:1].isupper():
            raise AttributeError(name)
        raise UnsupportedError(
            f"There is no {kind} {name}.", f"There are {', '.join(known)}.", "Use one of them.", clause
        )

    return missing
