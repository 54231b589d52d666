"""Trains the SentencePiece models of the tiny presets. What is learned may differ between versions of sentencepiece.

The models that are kept were trained with sentencepiece 0.2.3 and are not trained anew with the presets.
"""

import io
from pathlib import Path
from typing import Any

T5_FRAME = {
    "bos_id": -1, "pad_id": 0, "eos_id": 1, "unk_id": 2,
    "pad_piece": "<pad>", "eos_piece": "</s>", "unk_piece": "<unk>",
}  # fmt: skip
# Beside the licence's English: other scripts, signs and numbers.
OTHERS = """naïve café Übung straße ¿qué? œuvre
the price is 12.50, or 3/4 of 1,234; it's he'll we've don't
привет мир это текст
日本語の文章 東京
שלום עולם
emoji 😀 and 👩‍👧 here
x_y-z == a.b(c)[d] != {e}
translate English to German: summarize: cola sentence:
"""
MODELS: dict[str, dict[str, Any]] = {
    "t5_tiny": {
        "model_type": "unigram", "vocab_size": 331, "normalization_rule_name": "nmt_nfkc",
        "user_defined_symbols": ["[MASK]", "<b>"], "character_coverage": 0.995, **T5_FRAME,
    },
    "t5_gated": {
        "model_type": "bpe", "vocab_size": 397, "normalization_rule_name": "identity", "byte_fallback": True,
        "character_coverage": 0.98, "split_digits": True,
        # The frame stands at other ids than in released models.
        "bos_id": 3, "pad_id": 2, "eos_id": 4, "unk_id": 0, "bos_piece": "<s>", "pad_piece": "<pad>",
    },
    "t5gemma_tiny": {
        "model_type": "bpe", "vocab_size": 349, "normalization_rule_name": "identity", "byte_fallback": True,
        "character_coverage": 0.98, "split_digits": True, "add_dummy_prefix": False, "pad_id": 0, "eos_id": 1,
        "bos_id": 2, "unk_id": 3, "pad_piece": "<pad>", "bos_piece": "<bos>", "eos_piece": "<eos>",
    },
    "moonshine_tiny": {
        "model_type": "bpe", "vocab_size": 337, "normalization_rule_name": "identity", "byte_fallback": True,
        "character_coverage": 0.98, "split_digits": True,
        # Start and end stand at each other's ids of released models; padding has the id of the unknown piece.
        "unk_id": 0, "eos_id": 1, "bos_id": 2, "pad_id": -1,
    },
}  # fmt: skip


def trained(name: str) -> bytes:
    """The model of a preset, trained on the repository's licence and the lines above."""
    import sentencepiece

    licence = (Path(__file__).parents[2] / "LICENSE").read_text(encoding="utf-8").splitlines()
    lines = [line for line in licence if line.strip()] + OTHERS.splitlines() * 3
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, num_threads=1, minloglevel=2, **MODELS[name]
    )
    return model.getvalue()
