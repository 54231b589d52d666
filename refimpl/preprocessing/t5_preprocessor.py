"""How T5's encoder alone reads texts, for models that speak with something else."""

from typing import Any

from refimpl.keras_api.inputs import on_tensors
from refimpl.preprocessing.arguments import length_of
from refimpl.preprocessing.start_end_packer import StartEndPacker
from refimpl.presets import register
from refimpl.presets.dtype import dtype_policy
from refimpl.presets.registry import Configured
from refimpl.tokenizers.t5_tokenizer import T5Tokenizer


@register
class T5Preprocessor(Configured):
    """Texts to ids and mask: `text </s>`, or as the switches say.

    Spec: preprocessing.t5.encoder-alone
    Source: keras-hub 0.32.0 t5_preprocessor.py
    """

    tokenizer_cls = T5Tokenizer
    module = "keras_hub.src.models.t5.t5_preprocessor"

    def __init__(
        self, tokenizer: T5Tokenizer, sequence_length: int = 256, add_start_token: bool = False,
        add_end_token: bool = True, name: str | None = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        self.tokenizer, self.sequence_length = tokenizer, sequence_length
        self.add_start_token, self.add_end_token = add_start_token, add_end_token
        self.name, self.trainable = name or type(self).__name__, trainable

    @on_tensors
    def __call__(self, x: Any, y: Any = None, sample_weight: Any = None, sequence_length: int | None = None) -> Any:
        """Ids and mask, beside labels and weights if there are any. Shapes: B texts -> (B, S); a text -> (S,)."""
        length, of = length_of(sequence_length, self.sequence_length, "sequence_length"), self.tokenizer
        packer = StartEndPacker(length, of.start_token_id, of.end_token_id, of.pad_token_id, return_padding_mask=True)
        ids, mask = packer(of(x), None, self.add_start_token, self.add_end_token)
        given = [part for part in (y, sample_weight) if part is not None]
        inputs = {"token_ids": ids, "padding_mask": mask}
        return (inputs, *given) if given else inputs

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {
            "name": self.name, "trainable": self.trainable, "dtype": dtype_policy("float32"),
            "tokenizer": self.tokenizer.described(), "sequence_length": self.sequence_length,
            "add_start_token": self.add_start_token, "add_end_token": self.add_end_token,
        }  # fmt: skip
