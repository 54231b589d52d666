"""BART for generation."""

from refimpl.models.bart.backbone import BartBackbone
from refimpl.models.seq_2_seq_lm import Seq2SeqLM
from refimpl.preprocessing.bart_seq_2_seq_lm_preprocessor import BartSeq2SeqLMPreprocessor
from refimpl.presets import register


@register
class BartSeq2SeqLM(Seq2SeqLM):
    """BART with its language model head, which is its embedding table. Spec: models.bart.tied-head"""

    module = "keras_hub.src.models.bart.bart_seq_2_seq_lm"
    backbone_cls, preprocessor_cls = BartBackbone, BartSeq2SeqLMPreprocessor
