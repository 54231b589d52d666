"""Moonshine's tokenizer: a SentencePiece model with `<s>` and `</s>`."""

from typing import Any

from refimpl.presets import register
from refimpl.tokenizers.sentence_piece_tokenizer import SentencePieceTokenizer


@register
class MoonshineTokenizer(SentencePieceTokenizer):
    """SentencePiece with Llama's special tokens. Padding is id 0, `<unk>`, which is no special token.

    Spec: tokenizers.moonshine.special-tokens
    """

    module = "keras_hub.src.models.moonshine.moonshine_tokenizer"
    backbone_name = "MoonshineBackbone"
    special_token_names = ("start_token", "end_token")
    start_token, end_token = "<s>", "</s>"
    start_token_id: int
    end_token_id: int
    pad_token_id = 0

    def __init__(self, proto: Any, **kwargs: Any) -> None:
        super().__init__(proto=proto, **kwargs)
