"""The vocabularies of the tiny BARTs, and what the scripted one says."""

LETTERS = "abcdefghijklmnop"

MERGES = [
    "Ġ t", "h e", "Ġt he", "i n", "Ġ a", "r e", "a n", "Ġa n", "Ġ Ġ", "ĠĠ Ġ", "1 2", "12 3", "' s", "' S", "' l",
    "'l l", "e Ġ", "n Ġa", "Ã ©", "ð Ł", "ðŁ ĺ", "a .", "! !", "Ċ Ċ", "< s", "in g",
]  # fmt: skip

# The scripted model says, after each token, the listed one; of several the scores are equal.
SCRIPT = {
    "<s>": ["a"], "a": ["b"], "b": ["c"], "c": ["</s>"], "</s>": ["p"], "p": ["p"], "d": ["e"], "e": ["f"], "f": ["d"],
    "g": ["i", "h"], "h": ["</s>"], "i": ["</s>"], "j": ["</s>"], "k": ["<pad>"], "<pad>": ["l"], "l": ["</s>"],
    "m": ["<s>"], "n": ["o"], "o": ["<mask>"], "<mask>": ["</s>"],
}  # fmt: skip


def byte_characters() -> list[str]:
    """GPT-2's 256 characters for bytes, in the order of GPT-2's table."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in shown] + [chr(256 + n) for n in range(256 - len(shown))]


def vocabulary_of(name: str) -> tuple[dict[str, int], list[str]]:
    """Vocabulary and merges of a preset."""
    if name == "bart_scripted":
        tokens = ["<pad>", "a", "b", "<s>", "c", "</s>", "<mask>", *LETTERS[3:], "q", "r", "qr"]
        return {token: id for id, token in enumerate(tokens)}, ["q r"]
    merged = [rule.replace(" ", "") for rule in MERGES]
    tokens = ["<s>", "<pad>", "</s>", *byte_characters(), *merged, "<mask>"]
    tokens += ["unused"] * (len(tokens) % 2 == 0)
    return {token: id for id, token in enumerate(tokens)}, list(MERGES)
