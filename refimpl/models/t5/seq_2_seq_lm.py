"""T5 for generation."""

from refimpl.models.seq_2_seq_lm import Seq2SeqLM
from refimpl.models.t5.backbone import T5Backbone
from refimpl.preprocessing.t5_seq_2_seq_lm_preprocessor import T5Seq2SeqLMPreprocessor
from refimpl.presets import register


@register
class T5Seq2SeqLM(Seq2SeqLM):
    """T5 with its head: its embedding table, or in T5 1.1 and Flan-T5 a table of its own. Spec: models.t5.head"""

    module = "keras_hub.src.models.t5.t5_seq_2_seq_lm"
    backbone_cls, preprocessor_cls = T5Backbone, T5Seq2SeqLMPreprocessor
