"""How T5Gemma frames its sequences."""

from typing import Any

from refimpl.models.t5gemma.tokenizer import T5GemmaTokenizer
from refimpl.preprocessing.seq_2_seq_lm_preprocessor import Seq2SeqLMPreprocessor
from refimpl.presets import register

Frame = tuple[list[int], list[int]]


@register
class T5GemmaSeq2SeqLMPreprocessor(Seq2SeqLMPreprocessor):
    """Encoder `text <eos>` for training, `text` for generation; decoder `<bos> text <eos>`.

    Spec: preprocessing.t5gemma.frames
    Source: keras-hub 0.32.0 t5gemma_seq_2_seq_lm_preprocessor.py
    """

    tokenizer_cls = T5GemmaTokenizer
    backbone_name = "T5GemmaBackbone"
    module = "keras_hub.src.models.t5gemma.t5gemma_seq_2_seq_lm_preprocessor"
    default_length = 512
    tokenizer: T5GemmaTokenizer

    def __init__(
        self, tokenizer: Any, *lengths: Any, add_start_token: bool = False, add_end_token: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(tokenizer, *lengths, **kwargs)
        self.add_start_token, self.add_end_token = add_start_token, add_end_token

    @property
    def encoder_frame(self) -> Frame:
        """`<bos>` and `<eos>` as the switches say."""
        start, end = [self.tokenizer.start_token_id], [self.tokenizer.end_token_id]
        return start if self.add_start_token else [], end if self.add_end_token else []

    @property
    def encoder_prompt_frame(self) -> Frame:
        """A source that is generated from does not end."""
        return self.encoder_frame[0], []

    @property
    def decoder_frame(self) -> Frame:
        """`<bos>` before the text, `<eos>` after it."""
        return [self.tokenizer.start_token_id], self.encoder_frame[1]

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return super().get_config() | {"add_start_token": self.add_start_token, "add_end_token": self.add_end_token}
