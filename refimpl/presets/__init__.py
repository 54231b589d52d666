"""Presets: folders of configuration, weights and assets. The only room that knows file formats."""

from refimpl.presets.folder import PresetFolder
from refimpl.presets.identifier import open_preset
from refimpl.presets.registry import register

__all__ = ["PresetFolder", "open_preset", "register"]
