"""T5Gemma's tokenizer: a SentencePiece model with `<bos>`, `<eos>` and `<pad>`."""

from typing import Any

from refimpl.presets import register
from refimpl.tokenizers.sentence_piece_tokenizer import SentencePieceTokenizer


@register
class T5GemmaTokenizer(SentencePieceTokenizer):
    """SentencePiece with Gemma's special tokens. Spec: tokenizers.t5gemma.special-tokens"""

    module = "keras_hub.src.models.t5gemma.t5gemma_tokenizer"
    backbone_name = "T5GemmaBackbone"
    special_token_names = ("start_token", "end_token", "pad_token")
    start_token, end_token, pad_token = "<bos>", "<eos>", "<pad>"
    start_token_id: int
    end_token_id: int
    pad_token_id: int

    def __init__(self, proto: Any, **kwargs: Any) -> None:
        super().__init__(proto=proto, **kwargs)
