"""The merge loop of byte-pair encoding, in O(n log n) also for a word of a million characters."""

import heapq
from collections.abc import Mapping, Sequence

Ranks = Mapping[tuple[str, str], int]


def merge_word(symbols: Sequence[str], ranks: Ranks) -> list[str]:
    """Join neighbours by the lowest-ranked merge rule, leftmost first, until no rule fits.

    Spec: tokenizers.byte-pair.merge-order
    """
    pieces: list[str | None] = list(symbols)
    before = list(range(-1, len(pieces) - 1))
    after = [*range(1, len(pieces)), -1]
    heap: list[tuple[int, int, str, str]] = []

    def offer(left: int, right: int) -> None:
        """Put the pair at `left`, `right` on the heap if a rule joins it."""
        if left < 0 or right < 0:
            return
        a, b = pieces[left], pieces[right]
        if a is not None and b is not None and (rank := ranks.get((a, b))) is not None:
            heapq.heappush(heap, (rank, left, a, b))

    for i in range(len(pieces) - 1):
        offer(i, i + 1)
    while heap:
        _, left, a, b = heapq.heappop(heap)
        right = after[left]
        if pieces[left] != a or right < 0 or pieces[right] != b:
            continue  # one of the two has been merged away since
        pieces[left], pieces[right] = a + b, None
        after[left] = after[right]
        if after[right] >= 0:
            before[after[right]] = left
        offer(before[left], left)
        offer(left, after[left])
    return [piece for piece in pieces if piece is not None]
