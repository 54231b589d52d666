"""Engines without a tokenizer of their own: the library `tokenizers` stands between them and the texts."""

from pathlib import Path
from typing import Any

from conformance.adapters.engine import LACKS, Engine
from conformance.suite.messages import UnsupportedError

NO_TEXT = "takes tokens, and has no tokenizer of its own"


class TokenEngine(Engine):
    """`text` is the tokenizer of what is loaded."""

    lacks = LACKS | {"tokenizers.": NO_TEXT, "generate.input.types": NO_TEXT}
    text: Any = None

    def encode(self, text: Any) -> list[int]:
        """Ids of a text, without start and end."""
        if self.text is None:
            raise UnsupportedError("texts of T5 are not asked here")
        return list(self.text.encode(text, add_special_tokens=False).ids)

    def decode_text(self, ids: list[int]) -> str:
        """The text of ids, without special tokens."""
        return str(self.text.decode(ids, skip_special_tokens=True))


def text_of(folder: Path) -> Any:
    """GPT-2's byte-level BPE from `vocab.json` and `merges.txt`; None for T5, which is asked in ids alone."""
    if not (folder / "vocab.json").is_file():
        return None
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True) for token in ("<s>", "<pad>", "</s>")])
    return made
