"""Text as it grows: the same tokens as `generate`, handed out while they come."""

from collections.abc import Iterator, Sequence

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # how bytes that are no whole character yet are shown


class GrowingText:
    """One row's text. What was handed out is never taken back, and characters are never split.

    Spec: generate.stream.whole-characters, generate.stream.equals-generate
    """

    def __init__(self) -> None:
        self.given = ""

    def piece(self, text: str, final: bool = False) -> str:
        """What is new in `text`. Its end is held back while it may still turn into another character."""
        sure = text if final else text.rstrip(UNFINISHED)
        if not sure.startswith(self.given):
            return ""
        new, self.given = sure[len(self.given) :], max(sure, self.given, key=len)
        return new


def pieces(snapshots: Iterator[Sequence[str]], rows: int) -> Iterator[list[str]]:
    """The new pieces of all rows after each step, where there are any. `snapshots` are the texts so far.

    Shapes: snapshots of B texts -> lists of B pieces, "" where nothing is new.
    """
    growing = [GrowingText() for _ in range(rows)]
    texts: Sequence[str] = [""] * rows
    for texts in snapshots:
        new = [row.piece(text) for row, text in zip(growing, texts, strict=True)]
        if any(new):
            yield new
    rest = [row.piece(text, final=True) for row, text in zip(growing, texts, strict=True)]
    if any(rest):
        yield rest
