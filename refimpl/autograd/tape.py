"""The tape: it writes down each primitive of a forward pass and plays them backwards for the gradients.

    tape = Tape()
    w = tape.variable(array)          # a node: it stands for an array and collects its gradient
    loss = some_forward_pass(w, x)    # written with `ops` only; nodes come in, a node comes out
    tape.backward(loss)
    w.gradient                        # d loss / d w, as an array

A primitive is a function on arrays (`@primitive`), followed by its vector-Jacobian product (`@name.vjp`). Called with
plain arrays it is that function and nothing else; called with a node anywhere, it runs the second one, which computes
the value again in its own way (large matrix products) and returns with it `pull`: from the gradient of the value to
the gradients of the arguments.

Source: reverse accumulation; Griewank & Walther 2008, "Evaluating Derivatives", chapter 3
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
Pull = Callable[[Array], Sequence[Any]]
Taped = Callable[..., tuple[Array, Pull]]

PRIMITIVES: dict[str, Primitive] = {}


class Rows:
    """A gradient that is zero but for some rows of a table. Shapes: ids (...), values (..., E)."""

    def __init__(self, ids: Array, values: Array) -> None:
        self.ids, self.values = ids.reshape(-1), values.reshape(-1, values.shape[-1])

    def add_to(self, table: Array) -> None:
        """Add the rows to `table`; ids that occur again add up, in a fixed order."""
        order = np.argsort(self.ids, kind="stable")
        ids, values = self.ids[order], self.values[order]
        starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
        table[ids[starts]] += np.add.reduceat(values, starts, axis=0)


class Node:
    """An array on the tape."""

    __slots__ = ("_owned", "gradient", "name", "needs_gradient", "tape", "value")

    def __init__(self, value: Array, tape: Tape, needs_gradient: bool, name: str = "") -> None:
        self.value, self.tape, self.needs_gradient, self.name = value, tape, needs_gradient, name
        self.gradient: Array | None = None
        self._owned = False  # whether `gradient` belongs to this node alone, so that it may be added to in place

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the array."""
        return self.value.dtype

    def receive(self, gradient: Array | Rows, owned: bool) -> None:
        """Add what one use of the node contributes to its gradient."""
        if isinstance(gradient, Rows):
            if self.gradient is None:
                self.gradient = np.zeros_like(self.value)
            elif not self._owned:
                self.gradient = self.gradient.copy()
            gradient.add_to(self.gradient)
            self._owned = True
        elif self.gradient is None:
            self.gradient, self._owned = gradient, owned
        elif self._owned:
            self.gradient += gradient
        else:
            self.gradient, self._owned = self.gradient + gradient, True


class Tape:
    """The list of what was computed, in order. `twins` are faster forms of derivatives, by the primitive's name."""

    def __init__(self, twins: Mapping[str, Taped] | None = None) -> None:
        self.twins = twins or {}
        self._steps: list[tuple[Node, list[Node | None], Pull]] = []

    def variable(self, array: Array, name: str = "") -> Node:
        """A node whose gradient is wanted."""
        return Node(array, self, needs_gradient=True, name=name)

    def constant(self, array: Array, name: str = "") -> Node:
        """A node whose gradient is not wanted: what depends on constants alone is not written down."""
        return Node(array, self, needs_gradient=False, name=name)

    def run(self, name: str, taped: Taped, args: Sequence[Any]) -> Node:
        """Compute a primitive, and write the step down if one of its arguments needs a gradient."""
        parents = [arg if isinstance(arg, Node) and arg.needs_gradient else None for arg in args]
        wants = [parent is not None for parent in parents]
        values = [arg.value if isinstance(arg, Node) else arg for arg in args]
        value, pull = self.twins.get(name, taped)(wants, *values)
        node = Node(value, self, any(wants), name)
        if node.needs_gradient:
            self._steps.append((node, parents, pull))
        return node

    def backward(self, result: Node) -> None:
        """Give every variable the gradient of the sum of `result`. Each step is forgotten as soon as it was used."""
        result.receive(np.ones_like(result.value), owned=True)
        while self._steps:
            node, parents, pull = self._steps.pop()
            incoming, node.gradient = node.gradient, None
            if incoming is None:
                continue  # the result does not depend on this step
            for parent, gradient in zip(parents, pull(incoming), strict=True):
                if parent is not None:
                    fresh = gradient is not incoming and getattr(gradient, "base", None) is None
                    parent.receive(gradient, owned=fresh)


class Primitive:
    """A function on arrays together with its derivative."""

    def __init__(self, plain: Callable[..., Array]) -> None:
        functools.update_wrapper(self, plain)
        self.plain = plain
        self.taped: Taped | None = None
        PRIMITIVES[plain.__name__] = self

    def vjp(self, taped: Taped) -> Taped:
        """Decorator for the derivative: `(wants, *arguments) -> value, pull`, all on plain arrays.

        `wants[n]` says whether the gradient of argument n is asked for; `pull` may return None for the others.
        """
        self.taped = taped
        return taped

    def __call__(self, *args: Any) -> Any:
        """The value: an array of arrays, a node if a node is among them."""
        tape = next((arg.tape for arg in args if isinstance(arg, Node)), None)
        if tape is None:
            return self.plain(*args)
        assert self.taped is not None, f"{self.plain.__name__} has no derivative"
        return tape.run(self.plain.__name__, self.taped, args)


def primitive(plain: Callable[..., Array]) -> Primitive:
    """Decorator: make a function on arrays a primitive of the tape."""
    return Primitive(plain)
