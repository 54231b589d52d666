"""Sixteen float32 numbers as one Numba value, so that the order of every sum is written in the code.

A compiler may vectorize a loop in more than one way, and then the sums of a row depend on how many rows it has beside
it. These operations are LLVM vector instructions with one meaning each, on every CPU: nothing is left to reorder, and
no fastmath flag is set. `fma` is fused wherever the CPU can fuse, in vectors and scalars alike.

Spec: kernels.order
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import models, register_model

from refimpl.kernels.legacy_jit import instruction

LANES = 16
Generator = Callable[[Any, Any, Any, Any], Any]
Typed = tuple[Any, Generator]

_F32, _I32 = ir.FloatType(), ir.IntType(32)
_V16 = ir.VectorType(_F32, LANES)
_address, _f32 = types.intp, types.float32


class Vector(types.Type):
    """The type of a vector."""

    def __init__(self) -> None:
        super().__init__(name="Vector16")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """A vector is one LLVM value."""

    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _V16)


def place_of(b: Any, address: Any, index: Any, kind: Any) -> Any:
    """Pointer to the float with that index from an address on."""
    return b.bitcast(b.gep(b.inttoptr(address, _F32.as_pointer()), [index]), kind.as_pointer())


def splat_of(b: Any, x: Any) -> Any:
    """One number in all lanes."""
    undefined = ir.Constant(_V16, ir.Undefined)
    first = b.insert_element(undefined, x, ir.Constant(_I32, 0))
    return b.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def fma_of(b: Any, parts: list[Any], kind: Any = _V16, suffix: str = "v16f32") -> Any:
    """`x * y + z`, with one rounding where the CPU has it."""
    function = ir.FunctionType(kind, [kind] * 3)
    return b.call(cgutils.get_or_insert_function(b.module, function, f"llvm.fmuladd.{suffix}"), parts)


NEAR, NEARER = 2, 3  # the second cache, and the first


def prefetch_at(b: Any, address: Any, index: Any, cache: int = NEARER, unit: Any = _F32) -> None:
    """Ask for the number's cache line; never fails, wherever that is."""
    byte, kinds = ir.IntType(8).as_pointer(), [_I32] * 3
    function = ir.FunctionType(ir.VoidType(), [byte, *kinds])
    where = b.bitcast(b.gep(b.inttoptr(address, unit.as_pointer()), [index]), byte)
    hints = [ir.Constant(_I32, n) for n in (0, cache, 1)]  # to read, data
    b.call(cgutils.get_or_insert_function(b.module, function, "llvm.prefetch.p0i8"), [where, *hints])


@instruction
def load(typing: Any, address: Any, index: Any) -> Typed:
    """Sixteen numbers from memory, with any alignment."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        value = b.load(place_of(b, args[0], args[1], _V16))
        value.align = 4
        return value

    return vector(_address, _address), generate


@instruction
def store(typing: Any, address: Any, index: Any, value: Any) -> Typed:
    """Sixteen numbers to memory, with any alignment."""

    def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
        b.store(args[2], place_of(b, args[0], args[1], _V16)).align = 4
        return context.get_dummy_value()

    return types.void(_address, _address, vector), generate


@instruction
def fetch(typing: Any, address: Any, index: Any) -> Typed:
    """Bring a number's cache line nearer, for it will be read soon."""

    def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
        prefetch_at(b, *args)
        return context.get_dummy_value()

    return types.void(_address, _address), generate


@instruction
def fetch_near(typing: Any, address: Any, index: Any) -> Typed:
    """The same, to the second cache."""

    def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
        prefetch_at(b, args[0], args[1], NEAR)
        return context.get_dummy_value()

    return types.void(_address, _address), generate


@instruction
def get(typing: Any, address: Any, index: Any) -> Typed:
    """One number from memory."""
    return _f32(_address, _address), lambda _, b, __, args: b.load(place_of(b, args[0], args[1], _F32))


@instruction
def put(typing: Any, address: Any, index: Any, value: Any) -> Typed:
    """One number to memory."""

    def generate(context: Any, b: Any, _: Any, args: Any) -> Any:
        b.store(args[2], place_of(b, args[0], args[1], _F32))
        return context.get_dummy_value()

    return types.void(_address, _address, _f32), generate


@instruction
def zero(typing: Any) -> Typed:
    """Sixteen zeros."""
    return vector(), lambda *_: ir.Constant(_V16, [0.0] * LANES)


@instruction
def splat(typing: Any, x: Any) -> Typed:
    """One number sixteen times."""
    return vector(_f32), lambda _, b, __, args: splat_of(b, args[0])


@instruction
def add(typing: Any, x: Any, y: Any) -> Typed:
    """`x + y` in every lane."""
    return vector(vector, vector), lambda _, b, __, args: b.fadd(*args)


@instruction
def mul(typing: Any, x: Any, y: Any) -> Typed:
    """`x * y` in every lane."""
    return vector(vector, vector), lambda _, b, __, args: b.fmul(*args)


@instruction
def div(typing: Any, x: Any, y: Any) -> Typed:
    """`x / y` in every lane."""
    return vector(vector, vector), lambda _, b, __, args: b.fdiv(*args)


@instruction
def positive(typing: Any, x: Any) -> Typed:
    """0 where a lane is below 0."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        nothing = ir.Constant(_V16, [0.0] * LANES)
        return b.select(b.fcmp_ordered("<", args[0], nothing), nothing, args[0])

    return vector(vector), generate


@instruction
def higher(typing: Any, x: Any, y: Any) -> Typed:
    """The higher of two in every lane; `y` where `x` is no number."""
    return vector(vector, vector), lambda _, b, __, args: b.select(b.fcmp_ordered(">", *args), *args)


@instruction
def not_below(typing: Any, x: Any, y: Any) -> Typed:
    """A bit for each lane in which x is not below y, or one of them is no number."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        bits = b.bitcast(b.fcmp_unordered(">=", *args), ir.IntType(LANES))
        return b.zext(bits, ir.IntType(64))

    return types.int64(vector, vector), generate


@instruction
def fma(typing: Any, x: Any, y: Any, z: Any) -> Typed:
    """`x * y + z` in every lane."""
    return vector(vector, vector, vector), lambda _, b, __, args: fma_of(b, list(args))


@instruction
def fma1(typing: Any, x: Any, y: Any, z: Any) -> Typed:
    """`x * y + z` of single numbers."""
    return _f32(_f32, _f32, _f32), lambda _, b, __, args: fma_of(b, list(args), _F32, "f32")


def halved(b: Any, value: Any, join: Callable[[Any, Any], Any]) -> Any:
    """Halves are joined until one number is left."""
    width = LANES
    while width > 1:
        width //= 2
        halves = [ir.Constant(ir.VectorType(_I32, width), list(range(s, s + width))) for s in (0, width)]
        value = join(*[b.shuffle_vector(value, value, half) for half in halves])
    return b.extract_element(value, ir.Constant(_I32, 0))


@instruction
def total(typing: Any, x: Any) -> Typed:
    """The sum of the lanes: halves are added until one number is left."""
    return _f32(vector), lambda _, b, __, args: halved(b, args[0], b.fadd)


@instruction
def peak(typing: Any, x: Any) -> Typed:
    """The highest of the lanes, none of which may be NaN."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        return halved(b, args[0], lambda x, y: b.select(b.fcmp_ordered(">", x, y), x, y))

    return _f32(vector), generate
