"""Small products whose sums stay in registers: so many rows by so many vectors, written out as instructions.

Spec: kernels.order
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from refimpl.kernels.legacy_jit import instruction
from refimpl.kernels.vector import LANES, NEAR, Typed, fma_of, place_of, prefetch_at, splat_of

_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_V16 = ir.VectorType(_F32, LANES)
_word = types.intp


def load_at(b: Any, address: Any, index: Any, kind: Any = _V16) -> Any:
    """What lies so many floats from an address on."""
    value = b.load(place_of(b, address, index, kind))
    value.align = 4
    return value


def times(b: Any, x: Any, n: int) -> Any:
    """`n x`."""
    return b.mul(x, ir.Constant(_I64, n))


def plus(b: Any, x: Any, n: int) -> Any:
    """`x + n`."""
    return b.add(x, ir.Constant(_I64, n))


def sums_of(b: Any, rows: int, columns: int, kind: Any = _V16) -> list[list[Any]]:
    """Places of as many sums, which the compiler keeps in registers."""
    nothing = ir.Constant(kind, [0] * LANES)
    return [[cgutils.alloca_once_value(b, nothing) for _ in range(columns)] for _ in range(rows)]


def rows_or_last(b: Any, rows: int, some: Any) -> list[Any]:
    """The numbers of so many rows; where there are only `some`, the last is repeated."""
    last, numbers = plus(b, some, -1), [ir.Constant(_I64, r) for r in range(rows)]
    return [b.select(b.icmp_signed("<", number, last), number, last) for number in numbers]


def by_four(rows: int, tokens: int) -> list[list[tuple[int, int]]]:
    """The rows and tokens of as many sums, four at a time."""
    pairs = [(r, t) for t in range(tokens) for r in range(rows)]
    return [pairs[n : n + 4] for n in range(0, len(pairs), 4)]


def block_of(rows: int, vectors: int) -> Callable[..., None]:
    """`y = (before +) (z +) x w (+ bias)`, each sum over `count` inputs in their order.

    z is added if `again`, the others unless their address is 0.

    Shapes: x `rows` lines `xstep` apart, w `count` lines `wstep` apart, z and before `rows` lines `zstep` apart, y
    `rows` lines `ystep` apart.
    """

    @instruction
    def block(
        typing: Any, x: Any, xstep: Any, w: Any, wstep: Any, count: Any, again: Any, z: Any, before: Any,
        zstep: Any, bias: Any, y: Any, ystep: Any,
    ) -> Typed:  # fmt: skip
        def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
            x, xstep, w, wstep, count, again, z, before, zstep, bias, y, ystep = args
            sums = sums_of(b, rows, vectors)
            lines = [times(b, xstep, r) for r in range(rows)]
            with cgutils.for_range(b, count, intp=_I64) as loop:
                line = b.mul(loop.index, wstep)
                weights = [load_at(b, w, plus(b, line, LANES * v)) for v in range(vectors)]
                for r in range(rows):
                    number = splat_of(b, load_at(b, x, b.add(lines[r], loop.index), _F32))
                    for v in range(vectors):
                        b.store(fma_of(b, [number, weights[v], b.load(sums[r][v])]), sums[r][v])
            nothing = ir.Constant(_I64, 0)
            for wanted, address, step in ((again, z, zstep), (before, before, zstep), (bias, bias, nothing)):
                with b.if_then(b.icmp_signed("!=", wanted, nothing)):
                    for r in range(rows):
                        for v in range(vectors):
                            more = load_at(b, address, plus(b, times(b, step, r), LANES * v))
                            b.store(b.fadd(more, b.load(sums[r][v])), sums[r][v])
            for r in range(rows):
                for v in range(vectors):
                    place = place_of(b, y, plus(b, times(b, ystep, r), LANES * v), _V16)
                    b.store(b.load(sums[r][v]), place).align = 4
            return context.get_dummy_value()

        return types.void(*[_word] * 12), generate

    return block


@instruction
def eight(typing: Any, x: Any, rows: Any, inputs: Any, w: Any, outputs: Any, ahead: Any, sums: Any, step: Any) -> Typed:
    """Add the products of eight inputs and sixteen columns to `sums`, while the numbers `ahead` are fetched.

    Shapes: x `rows` lines `inputs` apart, w eight lines `outputs` apart, sums `rows` lines `step` apart.
    """

    def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
        x, rows, inputs, w, outputs, ahead, sums, step = args
        weights = []
        for k in range(8):
            line = times(b, outputs, k)
            prefetch_at(b, w, b.add(line, ahead), NEAR)
            weights.append(load_at(b, w, line))
        with cgutils.for_range(b, rows, intp=_I64) as loop:
            line, place = b.mul(loop.index, inputs), b.mul(loop.index, step)
            found = load_at(b, sums, place)
            for k in range(8):
                number = splat_of(b, load_at(b, x, plus(b, line, k), _F32))
                found = fma_of(b, [number, weights[k], found])
            b.store(found, place_of(b, sums, place, _V16)).align = 4
        return context.get_dummy_value()

    return types.void(*[_word] * 8), generate


def scores_of(rows: int, tokens: int) -> Callable[..., None]:
    """`dot` of so many rows with each of so many tokens: sums of sixteen side by side, then their totals.

    The tokens are lines of the table that lie `apart` numbers from each other, so that several places of it are read at
    once. While it runs, the numbers `ahead` of them are fetched. Where there are fewer rows, `some`, the last is
    repeated.

    Shapes: x `some` lines `width` apart, of which `whole` numbers are taken; y `some` lines `size` apart, in which the
    tokens lie `between` numbers from each other.
    """

    @instruction
    def scores(
        typing: Any, x: Any, some: Any, width: Any, whole: Any, table: Any, apart: Any, ahead: Any, y: Any, size: Any,
        between: Any,
    ) -> Typed:  # fmt: skip
        def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
            x, some, width, whole, table, apart, ahead, y, size, between = args
            sums, row = sums_of(b, rows, tokens), rows_or_last(b, rows, some)
            lines, places = [b.mul(r, width) for r in row], [times(b, apart, t) for t in range(tokens)]
            with cgutils.for_range_slice(b, ir.Constant(_I64, 0), whole, ir.Constant(_I64, LANES), intp=_I64) as (
                k,
                _step,
            ):
                weights = []
                for place in places:
                    index = b.add(place, k)
                    prefetch_at(b, table, b.add(index, ahead))
                    weights.append(load_at(b, table, index))
                for r in range(rows):
                    numbers = load_at(b, x, b.add(lines[r], k))
                    for t in range(tokens):
                        b.store(fma_of(b, [numbers, weights[t], b.load(sums[r][t])]), sums[r][t])
            for four in by_four(rows, tokens):
                totals = four_totals(b, [b.load(sums[r][t]) for r, t in four])
                for n, (r, t) in enumerate(four):
                    index = b.add(b.mul(row[r], size), times(b, between, t))
                    b.store(b.extract_element(totals, ir.Constant(_I32, n)), place_of(b, y, index, _F32))
            return context.get_dummy_value()

        return types.void(*[_word] * 10), generate

    return scores


@instruction
def four_dots(typing: Any, x: Any, a: Any, b: Any, c: Any, d: Any, whole: Any, y: Any) -> Typed:
    """`dot` of `whole` numbers at `x` with those at four addresses, to four numbers at `y`."""

    def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
        x, *others, whole, y = args
        (sums,) = sums_of(b, 1, 4)
        with cgutils.for_range_slice(b, ir.Constant(_I64, 0), whole, ir.Constant(_I64, LANES), intp=_I64) as (k, _step):
            numbers = load_at(b, x, k)
            for place, other in zip(sums, others, strict=True):
                b.store(fma_of(b, [numbers, load_at(b, other, k), b.load(place)]), place)
        totals = four_totals(b, [b.load(place) for place in sums])
        b.store(totals, place_of(b, y, ir.Constant(_I64, 0), totals.type)).align = 4
        return context.get_dummy_value()

    return types.void(*[_word] * 7), generate


def four_totals(b: Any, values: list[Any], integers: bool = False) -> Any:
    """The total of each of four vectors: halves are added until one number is left, as `total` adds them."""
    width, join = LANES, b.add if integers else b.fadd
    while len(values) > 1:
        lanes = [n for n in range(2 * LANES) if n % width < width // 2]  # groups of the first come first
        values = [
            _picked_and_joined(b, *pair, lanes, width // 2, join)
            for pair in zip(values[::2], values[1::2], strict=True)
        ]
        width //= 2
    value = values[0]
    while width > 1:
        lanes = [n for n in range(4 * width) if n % width < width // 2]
        value = _picked_and_joined(b, value, value, lanes, width // 2, join)
        width //= 2
    return value


def _picked_and_joined(b: Any, first: Any, second: Any, lanes: list[int], distance: int, join: Any) -> Any:
    kind = ir.VectorType(_I32, len(lanes))
    low = b.shuffle_vector(first, second, ir.Constant(kind, lanes))
    return join(low, b.shuffle_vector(first, second, ir.Constant(kind, [n + distance for n in lanes])))
