"""Small SentencePiece models for the tests of all rooms."""

import functools
import io

import sentencepiece

from refimpl.presets.sentence_piece_file import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, WORD, model_file

# The pieces of the model that KerasHub's own tests have: whole words.
PIECES = [("<pad>", 0.0, CONTROL), ("</s>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN), ("[MASK]", 0.0, USER_DEFINED)]
PIECES += [(f"▁{word}", -2.0, NORMAL) for word in ("the", "brown", "earth", "fox", "is", "quick", "round")]
T5_FRAME = {
    "bos_id": -1, "pad_id": 0, "eos_id": 1, "unk_id": 2,
    "pad_piece": "<pad>", "eos_piece": "</s>", "unk_piece": "<unk>",
}  # fmt: skip


@functools.cache
def words():
    """A model of eleven pieces with T5's frame."""
    return model_file(PIECES, WORD, frame={"pad": 0, "eos": 1, "unk": 2})


def trained(sentences, **options):
    """A serialized model. What it learns may differ between versions of sentencepiece."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, minloglevel=2, **options
    )
    return model.getvalue()


def digits():
    """A model whose pieces are the digits, with Moonshine's frame; "0" has the id 3."""
    return trained(
        ["0123456789"], model_type="char", vocab_size=13, character_coverage=1.0, add_dummy_prefix=False,
        normalization_rule_name="identity", unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
    )  # fmt: skip
