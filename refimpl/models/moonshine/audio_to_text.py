"""Moonshine for generation."""

from refimpl.models.audio_to_text import AudioToText
from refimpl.models.moonshine.backbone import MoonshineBackbone
from refimpl.models.moonshine.preprocessor import MoonshineAudioToTextPreprocessor
from refimpl.presets import register


@register
class MoonshineAudioToText(AudioToText):
    """Moonshine with its head, which is its table of tokens. Spec: models.moonshine.head"""

    module = "keras_hub.src.models.moonshine.moonshine_audio_to_text"
    backbone_cls, preprocessor_cls = MoonshineBackbone, MoonshineAudioToTextPreprocessor
