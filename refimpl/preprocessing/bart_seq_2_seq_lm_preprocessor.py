"""How BART frames its sequences."""

from refimpl.preprocessing.seq_2_seq_lm_preprocessor import Seq2SeqLMPreprocessor
from refimpl.presets import register
from refimpl.tokenizers.bart_tokenizer import BartTokenizer


@register
class BartSeq2SeqLMPreprocessor(Seq2SeqLMPreprocessor):
    """Encoder `<s> text </s>`, decoder `</s> <s> text </s>`: BART starts to speak from `</s>`, and says `<s>` first.

    Spec: preprocessing.bart.frames
    Source: Lewis et al. 2020, section 2; keras-hub 0.32.0 bart_seq_2_seq_lm_preprocessor.py
    """

    tokenizer_cls = BartTokenizer
    backbone_name = "BartBackbone"
    module = "keras_hub.src.models.bart.bart_seq_2_seq_lm_preprocessor"
    tokenizer: BartTokenizer

    @property
    def decoder_frame(self) -> tuple[list[int], list[int]]:
        """`</s> <s>` before the text, `</s>` after it."""
        start, end = self.tokenizer.start_token_id, self.tokenizer.end_token_id
        return [end, start], [end]
