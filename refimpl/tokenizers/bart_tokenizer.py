"""BART's tokenizer: byte-level BPE with `<s>`, `</s>` and `<pad>`."""

from refimpl.presets import register
from refimpl.tokenizers.byte_pair_tokenizer import BytePairTokenizer


@register
class BartTokenizer(BytePairTokenizer):
    """Byte-level BPE whose special tokens are found in text as they stand; `<mask>` is text, as in KerasHub.

    Spec: tokenizers.bart.special-tokens
    """

    module = "keras_hub.src.models.bart.bart_tokenizer"
    backbone_name = "BartBackbone"
    special_token_names = ("start_token", "pad_token", "end_token")
    start_token, pad_token, end_token = "<s>", "<pad>", "</s>"
    start_token_id: int
    pad_token_id: int
    end_token_id: int
