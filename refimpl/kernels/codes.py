"""Codes of six bits for the numbers of a table, and their dot products with rows of int8.

A code f, 0 to 63, stands for `(f - 31.5) scale`: a uniform mid-rise quantizer, whose levels lie evenly about zero, so
that all 64 are used. Sums of products of codes and int8 are exact integers: no order matters, every CPU finds the same.

A line of n numbers has `groups_of(n)` groups of 128 codes, the last one filled up. Of each group `LOW_BITS` has 64
bytes: byte i is the low four bits of the codes i and 64 + i. `HIGH_BITS` has 32 bytes: the fifth bits of the first 64
codes in their order, then their sixth bits, then both of the other 64. So 64 codes are unpacked by an `and` or a shift,
and two `or`s under masks.

Spec: kernels.shortlist
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from refimpl.kernels.block import by_four, four_totals, load_at, plus, rows_or_last, sums_of, times
from refimpl.kernels.legacy_jit import instruction
from refimpl.kernels.vector import LANES, Typed, place_of, prefetch_at, splat_of, vector

_F32, _I8, _I16, _I32, _I64 = ir.FloatType(), ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_V16, _W16, _V4 = ir.VectorType(_F32, LANES), ir.VectorType(_I32, LANES), ir.VectorType(_F32, 4)
_BYTES, _BITS, _SHORT = ir.VectorType(_I8, 64), ir.VectorType(ir.IntType(1), 64), ir.VectorType(_I8, LANES)
_word, _f32 = types.intp, types.float32


def _same(kind: Any, number: float) -> Any:
    return ir.Constant(kind, [number] * kind.count)


def _byte(b: Any, address: Any, index: Any, kind: Any) -> Any:
    """Pointer to what lies so many bytes on."""
    return b.bitcast(b.gep(b.inttoptr(address, _I8.as_pointer()), [index]), kind.as_pointer())


def _load_bytes(b: Any, address: Any, index: Any, kind: Any = _BYTES) -> Any:
    value = b.load(_byte(b, address, index, kind))
    value.align = 1
    return value


def _store_bytes(b: Any, value: Any, address: Any, index: Any) -> None:
    b.store(value, _byte(b, address, index, value.type)).align = 1


def _of_lanes(b: Any, name: str, x: Any) -> Any:
    function = ir.FunctionType(_V16, [_V16])
    return b.call(cgutils.get_or_insert_function(b.module, function, f"llvm.{name}.v16f32"), [x])


def _between(b: Any, x: Any, least: float, most: float) -> Any:
    """`x`, or the bound that it is beyond; the lower one for what is no number."""
    low, high = _same(_V16, least), _same(_V16, most)
    x = b.select(b.fcmp_ordered(">", x, low), x, low)
    return b.select(b.fcmp_ordered("<", x, high), x, high)


@instruction
def magnitude(typing: Any, x: Any) -> Typed:
    """`|x|` in every lane."""
    return vector(vector), lambda _, b, __, args: _of_lanes(b, "fabs", args[0])


@instruction
def pack_codes(typing: Any, x: Any, start: Any, end: Any, scale: Any, inverse: Any, low: Any, high: Any) -> Typed:
    """Write the codes of sixteen numbers from `start` on and of those that lie 64 beyond; gives squared residuals.

    These are added up in lanes, without the filling: vectors from `end` on. `inverse` is that of `scale`.

    Shapes: x a line, low 16 bytes, high 2 bytes of each quarter of a group's 32.
    """

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        x, first, end, scale, inverse, low, high = args
        squares, halves = _same(_V16, 0.0), []
        scale, inverse = splat_of(b, scale), splat_of(b, inverse)
        for half in range(2):
            start = plus(b, first, 64 * half)
            numbers = load_at(b, x, start)
            level = _between(b, _of_lanes(b, "floor", b.fmul(numbers, inverse)), -32.0, 31.0)
            residual = b.fsub(numbers, b.fmul(b.fadd(level, _same(_V16, 0.5)), scale))
            residual = b.select(b.icmp_signed("<", start, end), residual, _same(_V16, 0.0))
            squares = b.fadd(squares, b.fmul(residual, residual))
            code = b.add(b.fptosi(level, _W16), _same(_W16, 32))
            for n in range(2):
                bit = b.icmp_unsigned("!=", b.and_(code, _same(_W16, 16 << n)), _same(_W16, 0))
                _store_bytes(b, b.bitcast(bit, _I16), high, ir.Constant(_I64, 16 * half + 8 * n))
            halves.append(b.and_(code, _same(_W16, 15)))
        packed = b.or_(halves[0], b.shl(halves[1], _same(_W16, 4)))
        _store_bytes(b, b.trunc(packed, _SHORT), low, ir.Constant(_I64, 0))
        return squares

    return vector(_word, _word, _word, _f32, _f32, _word, _word), generate


@instruction
def round_to_int8(typing: Any, x: Any, n: Any, inverse: Any, y: Any) -> Typed:
    """Write sixteen numbers from the n-th on, times `inverse`, rounded to -127 to 127; gives these as floats."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        x, n, inverse, y = args
        scaled = b.fmul(load_at(b, x, n), splat_of(b, inverse))
        numbers = _between(b, _of_lanes(b, "floor", b.fadd(scaled, _same(_V16, 0.5))), -127.0, 127.0)
        _store_bytes(b, b.trunc(b.fptosi(numbers, _W16), _SHORT), y, n)
        return numbers

    return vector(_word, _word, _f32, _word), generate


def estimates_of(rows: int, tokens: int) -> Callable[..., None]:
    """Code that estimates the products of so many rows with the lines of so many tokens.

    An estimate is `line_scale (scale (sum of f g) + offset)`: f the line's codes, g the row in int8, and `offset` what
    the 31.5 in `(f - 31.5)` takes off. The tokens' lines lie `apart` lines from each other, so that as many streams
    are read at once; the lines `ahead` of them are fetched. Where there are fewer rows, `some`, the last is repeated.

    Shapes: x (some, 128 groups) of int8, scales, offsets (8), low (tokens, 64 groups) and high (tokens, 32 groups) of
    bytes, line_scales (tokens), y (some, size).
    """

    @instruction
    def estimates(
        typing: Any, x: Any, some: Any, groups: Any, scales: Any, offsets: Any, low: Any, high: Any, apart: Any,
        ahead: Any, line_scales: Any, y: Any, size: Any,
    ) -> Typed:  # fmt: skip
        def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
            x, some, groups, scales, offsets, low, high, apart, ahead, line_scales, y, size = args
            sums, row = sums_of(b, rows, tokens, _W16), rows_or_last(b, rows, some)
            line = times(b, groups, 64)
            places = [times(b, apart, t) for t in range(tokens)]
            with cgutils.for_range(b, groups, intp=_I64) as loop:
                codes = []
                for place in places:
                    index = b.add(b.mul(place, line), times(b, loop.index, 64))
                    prefetch_at(b, low, b.add(index, b.mul(ahead, line)), unit=_I8)
                    both = _load_bytes(b, low, index)
                    bits = b.add(b.mul(place, times(b, groups, 32)), times(b, loop.index, 32))
                    halves = b.and_(both, _same(_BYTES, 15)), b.lshr(both, _same(_BYTES, 4))
                    codes.append([_with_high(b, half, high, plus(b, bits, 16 * n)) for n, half in enumerate(halves)])
                for half in range(2):
                    index = plus(b, times(b, loop.index, 128), 64 * half)
                    for r in range(rows):
                        numbers = _load_bytes(b, x, b.add(b.mul(row[r], times(b, groups, 128)), index))
                        for t in range(tokens):
                            b.store(byte_products(context, b, b.load(sums[r][t]), codes[t][half], numbers), sums[r][t])
            for four in by_four(rows, tokens):
                found = b.sitofp(four_totals(b, [b.load(sums[r][t]) for r, t in four], integers=True), _V4)
                scale, offset = (
                    _four(b, [load_at(b, a, ir.Constant(_I64, r), _F32) for r, _ in four]) for a in (scales, offsets)
                )
                line_scale = _four(b, [load_at(b, line_scales, places[t], _F32) for _, t in four])
                found = b.fmul(line_scale, b.fadd(b.fmul(scale, found), offset))
                for n, (r, t) in enumerate(four):
                    index = b.add(b.mul(row[r], size), places[t])
                    b.store(b.extract_element(found, ir.Constant(_I32, n)), place_of(b, y, index, _F32))
            return context.get_dummy_value()

        return types.void(*[_word] * 12), generate

    return estimates


def _with_high(b: Any, codes: Any, high: Any, index: Any) -> Any:
    """64 codes of their low four bits and the two others."""
    for n in range(2):
        bits = b.bitcast(_load_bytes(b, high, plus(b, index, 8 * n), _I64), _BITS)
        codes = b.select(bits, b.or_(codes, _same(_BYTES, 16 << n)), codes)
    return codes


def byte_products(context: Any, b: Any, sums: Any, codes: Any, numbers: Any) -> Any:
    """Products of 64 codes and int8, four of them added to each of 16 sums: one instruction where the CPU has it."""
    if "+avx512vnni" not in context.codegen()._tm_features:
        return plain_byte_products(b, sums, codes, numbers)
    function = ir.FunctionType(_W16, [_W16] * 3)
    made = cgutils.get_or_insert_function(b.module, function, "llvm.x86.avx512.vpdpbusd.512")
    return b.call(made, [sums, *[b.bitcast(bytes_, _W16) for bytes_ in (codes, numbers)]])


def plain_byte_products(b: Any, sums: Any, codes: Any, numbers: Any) -> Any:
    """The same in plain instructions, with another four added. Four of at most 63 times 127 fit 16 bits with a sign."""
    wide = ir.VectorType(_I16, 64)
    products = b.mul(b.zext(codes, wide), b.sext(numbers, wide))
    for size in (32, 16):
        halves = [ir.Constant(ir.VectorType(_I32, size), list(range(n, n + size))) for n in (0, size)]
        products = b.add(*[b.shuffle_vector(products, products, half) for half in halves])
    return b.add(sums, b.sext(products, _W16))


def _four(b: Any, numbers: list[Any]) -> Any:
    value = ir.Constant(_V4, ir.Undefined)
    for n, number in enumerate(numbers):
        value = b.insert_element(value, number, ir.Constant(_I32, n))
    return value
