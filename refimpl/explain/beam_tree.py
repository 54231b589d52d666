"""The beams of a search as a tree: the tokens that they have in common are written once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from refimpl.explain.explanation import Beam, visible


@dataclass
class Node:
    """A token of a beam that lived to the end, and those that followed it."""

    beam: Beam
    children: list[Node]

    @property
    def over(self) -> bool:
        """Whether it is the stop token: what a beam says after it is scored and is no part of a text."""
        return any(child.beam.stopped for child in self.children)

    @property
    def score(self) -> float:
        """The score of the best beam that ends here."""
        return max((child.score for child in self.children), default=self.beam.score)


def tree(steps: Sequence[Sequence[Beam]]) -> list[Node]:
    """The first tokens of the beams that live on to the last step."""
    below: dict[int, list[Node]] = {k: [] for k in range(len(steps[-1]))}
    for row in reversed(steps):
        nodes = [Node(row[k], children) for k, children in sorted(below.items())]
        below = {}
        for node in nodes:
            below.setdefault(node.beam.parent, []).append(node)
    return [node for nodes in below.values() for node in nodes]


def drawn(nodes: Sequence[Node], indent: str = "") -> Iterator[str]:
    """Lines: a run of tokens up to where beams part, its score, `*` where it is the result; then its branches."""
    for node in nodes:
        last, words = node is nodes[-1], [node.beam.token.text]
        while len(node.children) == 1 and not node.over:
            node = node.children[0]  # noqa: PLW2901 (the run's end)
            words.append(node.beam.token.text)
        star = " *" if node.beam.best and (node.over or not node.children) else ""
        score = node.score if node.over else node.beam.score
        yield f"{indent}{'└─' if last else '├─'} {visible(' '.join(words))}  {score:.2f}{star}"
        if not node.over:
            yield from drawn(node.children, indent + ("   " if last else "│  "))
