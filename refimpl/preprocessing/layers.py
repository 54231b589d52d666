"""KerasHub's name for the parts of preprocessing that stand alone."""

from refimpl.preprocessing.audio_converter import AudioConverter, MoonshineAudioConverter
from refimpl.preprocessing.start_end_packer import StartEndPacker

__all__ = ["AudioConverter", "MoonshineAudioConverter", "StartEndPacker"]
