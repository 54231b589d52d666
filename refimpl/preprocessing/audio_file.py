"""The samples of a recording in a file."""

import importlib
import wave
from pathlib import Path

import numpy as np

from refimpl.errors import InputError

_STREAMED = 0x7FFF0000  # bytes; a program that writes into a pipe does not know the length, and says that or more


def read_recording(path: Path, rate: int) -> np.ndarray:
    """The samples of a WAV file, or with the package soundfile of any file that it reads, from -1 to 1.

    Shapes: -> (n,) float32.
    Raises: InputError for another rate, several channels, and what can't be read.
    Spec: cli.generate.audio, preprocessing.audio.rate
    """
    try:
        samples, found = _read_wav(path)
    except (wave.Error, EOFError, RuntimeError) as error:  # the last for a part that ends beyond the file
        samples, found = _read_sound(path, str(error) or "it ends too early")
    except (OSError, ValueError) as error:  # the second for a name with a zero byte
        raise _unreadable(path, str(getattr(error, "strerror", error))) from error
    if found != rate or samples.shape[1] != 1:
        raise InputError(
            f"{path} has {samples.shape[1]} channels of {found} Hz.",
            f"The model reads one channel of {rate} Hz.",
            f"Convert it, for example: ffmpeg -i {path.name} -ac 1 -ar {rate} mono.wav",
            "preprocessing.audio.rate",
        )
    return samples[:, 0]


def _read_wav(path: Path) -> tuple[np.ndarray, int]:
    """Samples of 8 bits are unsigned, the others not. Shapes: -> (n, channels) float32."""
    with wave.open(str(path), "rb") as file:
        width, channels, promised = file.getsampwidth(), file.getnchannels(), file.getnframes()
        held = np.frombuffer(file.readframes(promised), np.uint8)
        rate = file.getframerate()
    frames = len(held) // (width * channels)
    if width > 4 or (frames < promised and promised * width * channels < _STREAMED):
        raise wave.Error(f"it holds {frames} of {promised} samples, of {width} bytes each")
    held = held[: frames * channels * width].reshape(-1, width)
    wide = np.pad(held ^ (128 if width == 1 else 0), ((0, 0), (4 - width, 0))).view("<i4")
    return (wide / np.float32(2**31)).astype(np.float32).reshape(frames, channels), rate


def _read_sound(path: Path, problem: str) -> tuple[np.ndarray, int]:
    try:
        soundfile = importlib.import_module("soundfile")
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except ImportError:
        raise _unreadable(path, problem) from None
    except (RuntimeError, OSError) as error:
        raise _unreadable(path, str(error)) from error
    return samples, rate


def _unreadable(path: Path, problem: str) -> InputError:
    return InputError(
        f"{path} can't be read as a recording: {problem}.",
        "It must be a whole WAV file of whole-number samples, or with the package soundfile another format.",
        f"Convert it, for example: ffmpeg -i {path.name} -ac 1 -ar 16000 mono.wav",
        "cli.generate.audio",
    )
