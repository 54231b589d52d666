"""How T5 frames its sequences."""

from refimpl.preprocessing.seq_2_seq_lm_preprocessor import Seq2SeqLMPreprocessor
from refimpl.presets import register
from refimpl.tokenizers.t5_tokenizer import T5Tokenizer


@register
class T5Seq2SeqLMPreprocessor(Seq2SeqLMPreprocessor):
    """Encoder `text </s>`, decoder `<pad> text </s>`: T5 starts to speak from its padding token.

    Spec: preprocessing.t5.frames
    Source: Raffel et al. 2020; keras-hub 0.32.0 t5_seq_2_seq_lm_preprocessor.py
    """

    tokenizer_cls = T5Tokenizer
    backbone_name = "T5Backbone"
    module = "keras_hub.src.models.t5.t5_seq_2_seq_lm_preprocessor"
    tokenizer: T5Tokenizer

    @property
    def encoder_frame(self) -> tuple[list[int], list[int]]:
        """Nothing before the text, `</s>` after it."""
        return [], [self.tokenizer.end_token_id]

    @property
    def decoder_frame(self) -> tuple[list[int], list[int]]:
        """`<pad>` before the text, `</s>` after it."""
        return [self.tokenizer.pad_token_id], [self.tokenizer.end_token_id]
