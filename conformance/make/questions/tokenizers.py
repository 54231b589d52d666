# ruff: noqa: E501  (tables read better unbroken)
"""Text to ids and back. The producer of ids is Hugging Face's `tokenizers` with GPT-2's byte-level pattern."""

from typing import Any

from conformance.make.questions import ask, load, refused, step
from conformance.make.words import MERGES, byte_characters

TEXTS = [
    ("byte-pair.split", "contractions", "Split", "it's he'll I'LL we've o'clock 's 'S 'RE 're"),
    ("byte-pair.split", "digits", "Split", "123 1234 12 a1b2 12the 3.12"),
    ("byte-pair.split", "space-runs", "Split", "a    a the  the     in   "),
    ("byte-pair.split", "only-spaces", "Split", "    "),
    ("byte-pair.split", "merges-across-words", "Split Merge", "the in an the a re in a"),
    ("byte-pair.split", "newlines", "Split", "a\n\nb\t c\r\n\n  the\n"),
    ("byte-pair.split", "punctuation", "Split", "a. a.! !! (the)... x_y-z a.a !!!"),
    ("byte-pair.split", "letters-of-all-scripts", "Split Bytes", "h\u00e9llo na\u00efve \u65e5\u672c\u8a9e \u0434\u0430\u0451 \u05d0\u05d1 \u0928\u092e\u0938\u094d"),
    ("byte-pair.split", "numbers-of-all-scripts", "Split Bytes", "a\u096cb \u0663\u0662 \u2167\u00b2 \u00bd12"),
    ("byte-pair.split", "unicode-spaces", "Split Bytes", "a\u00a0b\u2009c\u3000d\u202fe\u0085f\u2028g"),
    ("byte-pair.split", "combining-marks", "Split Bytes", "e\u0301 \u1100\u1161 a\u200db"),
    ("byte-level.table", "every-byte", "Bytes", "".join(map(chr, range(256))) + "\u07ff\u0800\uffff\U0010ffff"),
    ("byte-level.table", "emoji", "Bytes", "\U0001f600 \U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea!"),
    ("byte-pair.merge-order", "by-rank", "Merge", "the then 12 123 3 123123 ing ining inging a an and"),
    ("byte-pair.merge-order", "long-word", "Merge", "anananinin" * 30 + "the"),
    ("byte-pair.unsplittable", "in-the-middle", "SpecialToken", "a</s>b <s><pad> the</s>the </s></s>"),
    ("byte-pair.unsplittable", "spaces-around", "SpecialToken Split", "a </s> b  <s>  the"),
    ("byte-pair.unsplittable", "only-lookalikes", "SpecialToken", "</S> < s> <s <pad></ s> \u0134Ab"),
    ("bart.special-tokens", "mask-is-text", "SpecialToken", "the <mask> in<mask>"),
    ("byte-pair.split", "empty", "Split", ""),
    ("byte-level.table", "controls-and-marks", "Bytes", "\0a\ufeffb\u00adc\u200bd\u200fe\ue000f\U000e0041g\x7f"),
    ("byte-level.table", "not-normalized", "Bytes", "\u1e9b\u0323 \ufb01 \uff21 \u212b \u2126 \u1112\u1161\u11ab \ud55c e\u0301\u0323"),
    ("byte-level.table", "emoji-sequences", "Bytes", "1\ufe0f\u20e3\U0001f44d\U0001f3fd\U0001f3f4\U000e0067\U000e007f\u2764\ufe0f\u200d\U0001f525"),
    ("byte-pair.split", "contractions-inside", "Split", "o'sullivan 'tis 'relay rock'n'roll 's1 'S's'd'Da 'mm 'llll"),
    ("byte-pair.split", "letter-cases", "Split Bytes", "\u0130i\u0131I \u017ft \u212a\u1e9e\u00df\u01c5"),
    ("byte-pair.split", "line-ends", "Split", "x\r\ny\rz\u000bw\u000cv\u2029u"),
    ("byte-pair.merge-order", "long-words-alike", "Merge", "an" * 200 + "x " + "an" * 200 + "y " + "an" * 199 + "na"),
    ("byte-pair.merge-order", "overlapping", "Merge", "aan ananan nan inginin reree hehe 1212 12312"),
    ("byte-pair.unsplittable", "adjacent", "SpecialToken", "<s></s><pad><s><s></s></s>"),
    ("byte-pair.unsplittable", "nested", "SpecialToken", "<<s>> </</s>s> <s</s>> <pad<pad>>"),
]  # fmt: skip


def questions() -> list[dict[str, Any]]:
    """All questions of the chapter."""
    found = [
        ask(f"tokenizers.{topic}#{slug}", f"Tokenize {text[:40]!r}.", flags, load("bart_tiny"),
            step("tokenize", {"exact": ["ids"]}, text=text), by="tokenizers")
        for topic, slug, flags, text in TEXTS
    ]  # fmt: skip
    found += crossing()
    pairs, words = ["b c", "a b", "c d", "x x", "xx x", "a bc", "xxx xx"], "assets/tokenizer/vocabulary.json"
    changes: list[dict[str, Any]] = [
        {"change": "set", "file": words, "keys": [pair.replace(" ", "")], "value": 300 + n}
        for n, pair in enumerate(pairs)
    ]
    changes.append({"change": "write", "file": "assets/tokenizer/merges.txt", "text": "\n".join(pairs) + "\n"})
    found.append(
        ask("tokenizers.byte-pair.merge-order#conflicts", "Rules that compete for a character: by rank, of equals leftmost.",
            "Merge", load("bart_tiny", None, changes, **{"class": "BartTokenizer"}),
            step("tokenize", {"exact": ["ids"]}, text="abcd abc bcd abab ccdd x xx xxx xxxx xxxxx xxxxxxx cabcab"),
            by="tokenizers")
    )  # fmt: skip
    texts = ["the", "", " in 12", "</s>"]
    found.append(
        ask("tokenizers.input.types#list", "A list of texts gives a list of rows.", "InputKind", load("bart_tiny"),
            step("tokenize", {"exact": ["ids"]}, text=texts), by="tokenizers")
    )  # fmt: skip
    found += [refusal(slug, text) for slug, text in (("number", 3), ("nested", [["a"]]), ("none-in-list", ["a", None]))]
    return found + detokenizing() + vocabularies()


def crossing() -> list[dict[str, Any]]:
    """Merges that would cross a cut: with each class of character beside each other one."""
    pairs = [
        "h \u00c3",
        "2 \u00d9",
        "a \u00c2",
        "\u0120 \u00c2",
        "_ a",
        "e \u00cc",
        "' S",
        "' s",
        "s \u0120",
        "n '",
        "3 a",
    ]
    words, merges = "assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt"
    new = [pair.replace(" ", "") for pair in pairs if pair not in ("' S", "' s")]
    changes: list[dict[str, Any]] = [
        {"change": "set", "file": words, "keys": [token], "value": 300 + n} for n, token in enumerate(new)
    ]
    changes.append({"change": "write", "file": merges, "text": "\n".join(pairs) + "\n"})
    texts = {
        "letters-and-marks": "h\u00e9h\u00e9 ha e\u0301 \u0113 E\u0301",
        "digits-of-two-scripts": "2\u0663 12\u0663\u0662 3a 23a",
        "spaces-of-two-kinds": "a\u00a0b a \u00a0 \u00a0a a\u00a0\u00a0 ",
        "underscore-is-no-letter": "_a a_a __a _ a",
        "contractions-in-capitals": "IT'S it's IT'Sn n's N'S 'S's",
    }
    return [
        ask(f"tokenizers.byte-pair.split#crossing-{slug}", "Merges that would cross a cut between words.", "Split",
            load("bart_tiny", None, changes, **{"class": "BartTokenizer"}),
            step("tokenize", {"exact": ["ids"]}, text=text), by="tokenizers")
        for slug, text in texts.items()
    ]  # fmt: skip


def refusal(slug: str, text: Any) -> dict[str, Any]:
    """What is no text."""
    return ask(f"tokenizers.input.types#{slug}", f"Tokenize {text!r}, which is no text.", "BadInput",
               load("bart_tiny"), step("tokenize", refused("value", "type"), text=text), by="hand")  # fmt: skip


def detokenizing() -> list[dict[str, Any]]:
    """Ids to text."""
    rows: list[tuple[str, str, Any, Any]] = [
        ("byte-level#words", "Ids of ordinary words.", [259, 264, 74], None),
        ("byte-level#special-tokens", "Special tokens stand as they are.", [0, 72, 2, 1], "<s>f</s><pad>"),
        ("invalid-utf8#lone-byte", "A byte that is no UTF-8 becomes U+FFFD.", [105, 166, 72], None),
        ("invalid-utf8#cut-emoji", "The first two bytes of four, then a letter.", [178, 226, 72], None),
        ("unknown-id#left-out", "Ids beyond the vocabulary are left out.", [72, 5000, 73], "fg"),
        ("shapes#rows", "Two rows give two texts.", [[72, 73], [74]], ["fg", "h"]),
        ("shapes#empty-row", "An empty row gives an empty text.", [[], [72]], ["", "f"]),
    ]
    found = [
        ask(f"tokenizers.detokenize.{slug}", about, "Bytes", load("bart_tiny"),
            step("detokenize", {"exact": ["text"] if text is None else {"text": text}}, ids=ids),
            by="keras_hub" if text is None else "hand")
        for slug, about, ids, text in rows
    ]  # fmt: skip
    found.append(
        ask("tokenizers.detokenize.unknown-id#negative", "A negative id is refused.", "BadInput", load("bart_tiny"),
            step("detokenize", refused("value", "index", "overflow"), ids=[72, -1]), by="hand")
    )  # fmt: skip
    spoken = "the caf\u00e9 \0\t\r\n \u010d\u0120 \u65e5\u672c \U0001f469\u200d\U0001f467 \u1100\u1161 \ufb01 e\u0301 \ufeff end  "
    rows = [(f"byte-level#any-text{'-in-rows' * many}", "Byte for byte, any text comes back.",
             [byte_ids(spoken), byte_ids("\U0010ffff\u0085")] if many else byte_ids(spoken),
             [spoken, "\U0010ffff\u0085"] if many else spoken) for many in (False, True)]  # fmt: skip
    rows.append(("invalid-utf8#then-text", "What follows a cut character is text again.",
                 [*byte_ids("\u65e5")[:2], *byte_ids("a"), *byte_ids("\U0001f600")[:3], 0, *byte_ids("\u00e9")],
                 "\ufffda\ufffd<s>\u00e9"))  # fmt: skip
    plain = [n for n, rule in enumerate(MERGES) if set(rule) <= {"\u0120", "\u010a", *map(chr, range(128))}]
    merged = "".join(MERGES[n].replace(" ", "") for n in plain).replace("\u0120", " ").replace("\u010a", "\n")
    rows.append(("byte-level#merged-tokens", "Every merged token of ASCII.", [259 + n for n in plain], merged))
    found += [
        ask(f"tokenizers.detokenize.{slug}", about, "Bytes", load("bart_tiny"),
            step("detokenize", {"exact": {"text": text}}, ids=ids), by="hand")
        for slug, about, ids, text in rows
    ]  # fmt: skip
    every = "".join(map(chr, range(32, 400))) + "\U0001f600"
    found.append(
        ask("tokenizers.detokenize.byte-level#round-trip", "Any text comes back from its ids.", "Bytes",
            load("bart_tiny"),
            step("tokenize", {"exact": ["ids"]}, text=every),
            by="tokenizers")
    )  # fmt: skip
    return found


def byte_ids(text: str) -> list[int]:
    """The ids of the single bytes in `bart_tiny`, which come after the three special tokens in GPT-2's order."""
    ranks = {character: rank for rank, character in enumerate(byte_characters())}
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    characters = {byte: chr(byte) for byte in shown}
    characters |= {byte: chr(256 + n) for n, byte in enumerate(b for b in range(256) if b not in characters)}
    return [3 + ranks[characters[byte]] for byte in text.encode("utf-8")]


def vocabularies() -> list[dict[str, Any]]:
    """Ids by the preset's vocabulary."""
    merges, words = "assets/tokenizer/merges.txt", "assets/tokenizer/vocabulary.json"
    lookup = {"size": 23, "special_token_ids": [0, 3, 5], "ids": [5, 6, 22], "tokens": ["<s>", "qr"]}
    return [
        ask("tokenizers.vocabulary.look-up#ids-are-the-presets", "Special ids are what the vocabulary says, not 0, 1, 2.",
            "Vocabulary", load("bart_scripted"),
            step("vocabulary", {"exact": lookup}, tokens=["</s>", "<mask>", "qr"], ids=[3, 22]), by="hand"),
        ask("tokenizers.vocabulary.look-up#unknown-token", "A token that is not there is refused.", "BadInput",
            load("bart_tiny"), step("vocabulary", refused("value", "key", mentions=("zzzz",)), tokens=["zzzz"]),
            by="hand"),
        ask("tokenizers.vocabulary.look-up#unknown-id", "An id that is not there is refused.", "BadInput",
            load("bart_tiny"), step("vocabulary", refused("value", "key", "index", mentions=("5000",)), ids=[5000]),
            by="hand"),
        ask("tokenizers.vocabulary.special-tokens#missing", "A vocabulary without </s> is refused.", "BadInput Load",
            load("bart_tiny", refused("value", "key", mentions=("</s>",)),
                 [{"change": "remove-key", "file": words, "keys": ["</s>"]}]), by="hand"),
        ask("tokenizers.vocabulary.merge-parts#made-by-a-rule",
            "A part that only an earlier rule makes need not be a token of its own.", "Vocabulary Load",
            load("bart_tiny", {"exact": {"class": "BartTokenizer"}},
                 [{"change": "write", "file": merges, "text": "o p\nop q\n"},
                  {"change": "set", "file": words, "keys": ["opq"], "value": 300}], **{"class": "BartTokenizer"}),
            step("tokenize", {"exact": {"ids": [300, 300]}}, text="opqopq"), by="hand"),
        ask("tokenizers.vocabulary.merge-parts#unknown-part", "A merge of unknown parts is refused.", "BadInput Load",
            load("bart_tiny", refused("value", "key", mentions=("zzzz",)),
                 [{"change": "write", "file": merges, "text": "zzzz a\n"}]), by="hand"),
    ]  # fmt: skip
