"""T5Gemma for generation."""

from refimpl.models.seq_2_seq_lm import Seq2SeqLM
from refimpl.models.t5gemma.backbone import T5GemmaBackbone
from refimpl.models.t5gemma.preprocessor import T5GemmaSeq2SeqLMPreprocessor
from refimpl.presets import register


@register
class T5GemmaSeq2SeqLM(Seq2SeqLM):
    """T5Gemma with its head: the decoder's table, or one of its own. Spec: models.t5gemma.head"""

    module = "keras_hub.src.models.t5gemma.t5gemma_seq_2_seq_lm"
    backbone_cls, preprocessor_cls = T5GemmaBackbone, T5GemmaSeq2SeqLMPreprocessor
