"""The innermost loop of a matrix product, written for CPUs with vectors of sixteen float32 numbers.

A tile of the result stays in registers while the sum goes on. It serves attention, whose matrices, one for each head,
are too small for a call of BLAS each, and products to which something is added anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDE = 32  # columns of a tile: two vectors
TALL = 12  # rows of a tile; with two vectors each they fill 24 of 32 registers
is_worth_it = bool(binding.get_host_cpu_features().get("avx512f"))

_F32, _I64, _V16 = ir.FloatType(), ir.IntType(64), ir.VectorType(ir.FloatType(), 16)
_FMA = ir.FunctionType(_V16, [_V16] * 3)


def _place(b: Any, address: Any, index: Any, kind: Any) -> Any:
    """Pointer to the number with that index from an address on."""
    return b.bitcast(b.gep(b.inttoptr(address, _F32.as_pointer()), [index]), kind.as_pointer())


def _pair(b: Any, address: Any, index: Any) -> list[Any]:
    """Two vectors from there on."""
    found = [b.load(_place(b, address, b.add(index, ir.Constant(_I64, n)), _V16)) for n in (0, 16)]
    for load in found:
        load.align = 4
    return found


def _sixteen(b: Any, address: Any, index: Any) -> Any:
    """The number that stands there, sixteen times."""
    number, undefined = b.load(_place(b, address, index, _F32)), ir.Constant(_V16, ir.Undefined)
    one = b.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return b.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), 16), [0] * 16))


def _tile(rows: int) -> Callable[..., Any]:
    """The product of `rows` rows of a with 32 columns of b, added to `start`, into c; `length` must be above 0.

    Arguments: address of a, its strides from row to row and along the sum; address of b and its stride along the sum;
    the length of the sum; address of `start`; address of c and its stride from row to row. Strides count numbers.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(
        _: Any,
        a: Any,  # noqa: ARG001  (Numba looks at the names)
        a_row: Any,  # noqa: ARG001
        a_sum: Any,  # noqa: ARG001
        b: Any,  # noqa: ARG001
        b_sum: Any,  # noqa: ARG001
        length: Any,  # noqa: ARG001
        start: Any,  # noqa: ARG001
        c: Any,  # noqa: ARG001
        c_row: Any,  # noqa: ARG001
    ) -> Any:
        def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
            a, a_row, a_sum, other, other_sum, length, start, c, c_row = args
            fma = cgutils.get_or_insert_function(b.module, _FMA, "llvm.fma.v16f32")

            begun = _pair(b, start, ir.Constant(_I64, 0))
            lines = [b.mul(a_row, ir.Constant(_I64, r)) for r in range(rows)]
            before, body, after = b.block, b.append_basic_block(), b.append_basic_block()
            b.branch(body)
            b.position_at_end(body)
            n = b.phi(_I64)
            n.add_incoming(ir.Constant(_I64, 0), before)
            sums = [[b.phi(_V16) for _ in range(2)] for _ in range(rows)]
            right = _pair(b, other, b.mul(n, other_sum))
            shift = b.mul(n, a_sum)
            for r in range(rows):
                left = _sixteen(b, a, b.add(lines[r], shift))
                for part in range(2):
                    sums[r][part].add_incoming(begun[part], before)
                    sums[r][part].add_incoming(b.call(fma, [left, right[part], sums[r][part]]), body)
            following = b.add(n, ir.Constant(_I64, 1))
            n.add_incoming(following, body)
            b.cbranch(b.icmp_signed("<", following, length), body, after)
            b.position_at_end(after)
            for r in range(rows):
                for part in range(2):
                    index = b.add(b.mul(c_row, ir.Constant(_I64, r)), ir.Constant(_I64, 16 * part))
                    b.store(sums[r][part].incomings[1][0], _place(b, c, index, _V16)).align = 4
            return context.get_dummy_value()

        return types.void(*[types.intp] * 9), generate

    return tile


tall_tile, low_tile, flat_tile = _tile(TALL), _tile(4), _tile(1)


@intrinsic  # type: ignore[untyped-decorator]
def highest(_: Any, address: Any, count: Any) -> Any:  # noqa: ARG001
    """The largest of `count` numbers from an address on, a multiple of 16; one that is no number is passed over."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        def larger(x: Any, y: Any) -> Any:
            return b.select(b.fcmp_ordered(">", x, y), x, y)

        before, body, after = b.block, b.append_basic_block(), b.append_basic_block()
        b.branch(body)
        b.position_at_end(body)
        n, lanes = b.phi(_I64), b.phi(_V16)
        n.add_incoming(ir.Constant(_I64, 0), before)
        lanes.add_incoming(ir.Constant(_V16, [float("-inf")] * 16), before)
        load = b.load(_place(b, args[0], n, _V16))
        load.align = 4
        found, following = larger(load, lanes), b.add(n, ir.Constant(_I64, 16))
        n.add_incoming(following, body)
        lanes.add_incoming(found, body)
        b.cbranch(b.icmp_signed("<", following, args[1]), body, after)
        b.position_at_end(after)
        width = 16
        while width > 1:
            width //= 2
            half = ir.VectorType(ir.IntType(32), width)
            found = larger(
                *[b.shuffle_vector(found, found, ir.Constant(half, list(range(s, s + width)))) for s in (0, width)]
            )
        return b.extract_element(found, ir.Constant(ir.IntType(32), 0))

    return types.float32(types.intp, types.intp), generate
