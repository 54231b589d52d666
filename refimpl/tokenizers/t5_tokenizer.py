"""T5's tokenizer: a SentencePiece model with `</s>` and `<pad>`."""

from typing import Any

from refimpl.presets import register
from refimpl.tokenizers.sentence_piece_tokenizer import SentencePieceTokenizer


@register
class T5Tokenizer(SentencePieceTokenizer):
    """SentencePiece with T5's special tokens. T5 has no start token: `start_token` is `</s>`, as in KerasHub.

    Special tokens and sentinels (`<extra_id_0>`) in a text are text, unless the model itself says otherwise.

    Spec: tokenizers.t5.special-tokens, tokenizers.t5.sentinels
    """

    module = "keras_hub.src.models.t5.t5_tokenizer"
    backbone_name = "T5Backbone"
    special_token_names = ("end_token", "start_token", "pad_token")
    end_token, start_token, pad_token = "</s>", "</s>", "<pad>"
    end_token_id: int
    start_token_id: int
    pad_token_id: int

    def __init__(self, proto: Any, **kwargs: Any) -> None:
        super().__init__(proto=proto, **kwargs)
