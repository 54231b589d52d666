"""The real T5: spelling to phonemes and phonemes to spelling in one model, told apart by T5's task prefixes.

    python -m conformance.shipped.t5_g2p data WORK       # pairs, validation and held-out words, the untrained preset
    refimpl fit --data WORK/pairs.tsv --validation-data WORK/validation.tsv --preset WORK/new --from-scratch ...
    python -m conformance.shipped.t5_g2p score FOLDER    # both directions on the held-out words

`data` needs KerasHub, which builds the untrained preset; `score` asks the command `refimpl generate`.
"""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from conformance.shipped.g2p_data import (
    PHONEMES,
    Pronunciations,
    error_rates,
    load_pronunciations,
    split_words,
    write_heldout,
)

TO_PHONEMES, TO_SPELLING = "spelling to phonemes: ", "phonemes to spelling: "
SIZES: dict[str, Any] = {
    "num_layers": 2, "num_heads": 4, "hidden_dim": 112, "intermediate_dim": 288, "key_value_dim": 28, "dropout": 0.05,
    "activation": "relu", "use_gated_activation": False, "tie_embedding_weights": True,
}  # fmt: skip
LENGTHS = (40, 36)
VALIDATION = 1000
HELDOUT, SPELLINGS = "heldout.tsv", "heldout_spellings.tsv"


def pieces() -> bytes:
    """A SentencePiece model of characters, in which phonemes and the words of the prefixes are pieces of their own."""
    import sentencepiece

    words = ["spelling", "phonemes", "to", *PHONEMES]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["abcdefghijklmnopqrstuvwxyz'-.:", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]),
        model_writer=model, model_type="char", vocab_size=104, hard_vocab_limit=False, character_coverage=1.0,
        user_defined_symbols=["\u2581" + word for word in words], normalization_rule_name="identity",
        bos_id=-1, pad_id=0, eos_id=1, unk_id=2, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>", minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


def both_ways(words: Pronunciations) -> list[tuple[str, str]]:
    """Each pair of a word and a pronunciation, in both directions."""
    pairs = [(word, spoken) for word, listed in words.items() for spoken in listed]
    return [(TO_PHONEMES + w, s) for w, s in pairs] + [(TO_SPELLING + s, w) for w, s in pairs]


def spellings(words: Pronunciations, held_out: Pronunciations) -> Pronunciations:
    """The first pronunciation of each held-out word, with all words of the dictionary that have it."""
    spelled: Pronunciations = {listed[0]: [] for listed in held_out.values()}
    for word, listed in words.items():
        for spoken in listed:
            if spoken in spelled:
                spelled[spoken].append(word)
    return spelled


def write_pairs(path: Path, pairs: list[tuple[str, str]]) -> None:
    """Two columns with their names."""
    lines = (f"{source}\t{target}\n" for source, target in pairs)
    path.write_text("encoder_text\tdecoder_text\n" + "".join(lines), encoding="utf-8")


def write_data(work: Path) -> None:
    """Training and validation pairs, held-out words, and the untrained preset as KerasHub saves it."""
    import keras_hub

    work.mkdir(parents=True, exist_ok=True)
    words = load_pronunciations()
    training, held_out = split_words(words)
    write_heldout(work / HELDOUT, held_out)
    write_heldout(work / SPELLINGS, spellings(words, held_out))
    names = list(training)
    judged = set(names[:: len(names) // VALIDATION][:VALIDATION])
    write_pairs(work / "pairs.tsv", both_ways({w: s for w, s in training.items() if w not in judged}))
    write_pairs(work / "validation.tsv", both_ways({w: s for w, s in training.items() if w in judged}))
    models = keras_hub.models
    tokenizer = models.T5Tokenizer(pieces())
    backbone = models.T5Backbone(vocabulary_size=-(-tokenizer.vocabulary_size() // 8) * 8, **SIZES)
    models.T5Seq2SeqLM(backbone, models.T5Seq2SeqLMPreprocessor(tokenizer, *LENGTHS)).save_to_preset(str(work / "new"))


def generated(folder: Path, texts: list[str]) -> list[str]:
    """One greedy output for each text, by the command."""
    words = [sys.executable, "-m", "refimpl.cli", "generate", "--preset", str(folder), "--json"]
    done = subprocess.run(words, input="\n".join(texts), text=True, stdout=subprocess.PIPE, check=True)
    return [json.loads(line)["output"] for line in done.stdout.splitlines()]


def rows(path: Path) -> list[list[str]]:
    """The fields of each line."""
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def scores(folder: Path) -> dict[str, float]:
    """Errors in phonemes and words of the one direction, in letters and words of the other, on the held-out words.

    The nearest listed pronunciation counts, and the nearest word of the dictionary that is pronounced so.
    """
    words, sounds = rows(folder / HELDOUT), rows(folder / SPELLINGS)
    spoken = error_rates(generated(folder, [TO_PHONEMES + word for word, *_ in words]), [rest for _, *rest in words])
    written = [" ".join(word) for word in generated(folder, [TO_SPELLING + sound for sound, *_ in sounds])]
    spelled = error_rates(written, [[" ".join(word) for word in rest] for _, *rest in sounds])
    letters = {"letter_error_rate": spelled["phoneme_error_rate"], "spelling_error_rate": spelled["word_error_rate"]}
    return spoken | letters


if __name__ == "__main__":
    if sys.argv[1] == "data":
        write_data(Path(sys.argv[2]))
    else:
        print(json.dumps(scores(Path(sys.argv[2])), indent=1))
