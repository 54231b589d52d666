"""Small vocabularies and models for the tests of all rooms."""

import numpy as np

from refimpl.models import (
    BartBackbone,
    BartSeq2SeqLM,
    BartSeq2SeqLMPreprocessor,
    BartTokenizer,
    T5Backbone,
    T5Seq2SeqLM,
)
from refimpl.tokenizers.byte_level import byte_to_character

MERGES = ["a i", "ai r", "p l", "a n", "pl an", "plan e", "a t", "Ġ air", "Ġ at"]
SPECIALS = ["<s>", "<pad>", "</s>", "<mask>"]


def vocabulary():
    """Special tokens, all bytes, then what the merges make."""
    tokens = SPECIALS + list(byte_to_character().values()) + [rule.replace(" ", "") for rule in MERGES]
    return {token: n for n, token in enumerate(dict.fromkeys(tokens))}


def tokenizer(**kwargs):
    return BartTokenizer(vocabulary(), MERGES, **kwargs)


def adversarial(model, seed=0):
    """Fill all weights so that every term matters: no zeros, no ones."""
    rng = np.random.default_rng(seed)
    for name, array in model.params.items():
        shift = 1.0 if name.endswith(("gamma", "norm/weight")) else 0.1
        model.params[name] = (rng.standard_normal(array.shape) * 0.5 + shift).astype(array.dtype)
    return model


def backbone(seed=0, **changes):
    sizes = {
        "vocabulary_size": len(vocabulary()),
        "num_layers": 2,
        "num_heads": 3,
        "hidden_dim": 12,
        "intermediate_dim": 20,
        "max_sequence_length": 19,
    }
    return adversarial(BartBackbone(**(sizes | changes)), seed)


def seq2seq(seed=0, preprocessor=True, **changes):
    pre = BartSeq2SeqLMPreprocessor(tokenizer(), encoder_sequence_length=9, decoder_sequence_length=11)
    lm = BartSeq2SeqLM(backbone(seed, **changes), pre if preprocessor else None)
    lm.compile(sampler="greedy")
    return lm


def t5_backbone(seed=0, **changes):
    """Inner width, hidden width and the width of all heads differ."""
    sizes = {"vocabulary_size": 41, "num_layers": 2, "num_heads": 3, "hidden_dim": 12, "intermediate_dim": 20}
    return adversarial(T5Backbone(**(sizes | {"key_value_dim": 5} | changes)), seed)


def t5(seed=0, **changes):
    lm = T5Seq2SeqLM(t5_backbone(seed, **changes))
    lm.compile(sampler="greedy")
    return lm


def batch(rows, source, target, seed=0, size=None):
    """Random ids; each row has its own number of real source tokens."""
    rng = np.random.default_rng(seed)
    size = size or len(vocabulary())
    lengths = rng.integers(1, source + 1, rows)
    return {
        "encoder_token_ids": rng.integers(0, size, (rows, source)),
        "encoder_padding_mask": np.arange(source) < lengths[:, None],
        "decoder_token_ids": rng.integers(0, size, (rows, target)),
        "decoder_padding_mask": np.ones((rows, target), bool),
    }


def sounding(inputs, seed=0):
    """The batch with random numbers in place of its source, a frame's stride for each token."""
    strides = np.repeat(np.pad(inputs["encoder_padding_mask"], ((0, 0), (2, 0)), mode="edge"), 384, axis=1)
    sound = 0.3 * np.random.default_rng(seed).standard_normal((*strides.shape, 1)).astype(np.float32)
    kept = {key: value for key, value in inputs.items() if key.startswith("decoder")}
    return {"encoder_input_values": sound, "encoder_padding_mask": strides} | kept
