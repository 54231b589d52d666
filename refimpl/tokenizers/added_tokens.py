"""Finding tokens in text as they stand, by the rules of transformers' tokenizers.

Source: tokenizers 0.23, tokenizer/added_vocabulary.rs (find_matches, extract_and_normalize)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import regex

from refimpl.presets.added_token_files import SPECIAL, Flags

_WORD = regex.compile(r"\w")
_SPACES = "".join(chr(c) for c in range(0x3001) if regex.match(r"\p{White_Space}", chr(c)))
_RUN = regex.compile(rf"[{_SPACES}]*+")


class AddedTokens:
    """Cuts a text at tokens; where several fit, at the longest of the leftmost.

    A token whose flags say `normalized` is looked for after the others, in what `normalize` makes of the text; if it
    makes nothing but spaces of the token, as of a line break, the token is looked for as it stands.

    Spec: tokenizers.byte-pair.unsplittable, tokenizers.sentence-piece.added-tokens, tokenizers.added-tokens.flags
    """

    def __init__(
        self, tokens: Iterable[str], flags: Mapping[str, Flags], normalize: Callable[[str], str] | None = None
    ) -> None:
        self._flags = flags
        self._normalize = normalize
        first: dict[str, str] = {}
        second: dict[str, str] = {}
        for token in tokens:
            late = "normalized" in flags.get(token, SPECIAL)
            form = normalize(token) if late and normalize else token
            if late and form.strip():
                second.setdefault(form, token)
            else:
                first[token] = token
        self._passes = [(forms, _pattern_of(forms)) for forms in (first, second)]

    def split(self, text: str) -> Iterator[tuple[str, bool]]:
        """The parts of a text in turn, and whether each is a token."""
        (first, pattern), (second, late) = self._passes
        for part, found in self._cut(text, first, pattern):
            if found or not second:
                yield part, found
            else:
                yield from self._cut(self._normalize(part) if self._normalize else part, second, late)

    def _cut(self, text: str, forms: Mapping[str, str], pattern: "regex.Pattern[str]") -> Iterator[tuple[str, bool]]:
        """One pass. Spec: tokenizers.added-tokens.flags, tokenizers.byte-pair.left-strip"""
        start = 0
        for match in pattern.finditer(text) if forms else ():
            token, (left, right) = forms[match[0]], match.span()
            flags = self._flags.get(token, SPECIAL)
            if "single_word" in flags and (_WORD.match(text, right) or (left and _WORD.match(text, left - 1))):
                continue
            if "lstrip" in flags:
                left = start + len(text[start:left].rstrip(_SPACES))
            if "rstrip" in flags:
                right = _RUN.match(text, right).end()
            if start < left:
                yield text[start:left], False
            yield token, True
            start = right
        if start < len(text):
            yield text[start:], False


def _pattern_of(forms: Iterable[str]) -> "regex.Pattern[str]":
    return regex.compile("|".join(map(regex.escape, sorted(forms, key=len, reverse=True))))
