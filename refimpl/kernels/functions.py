"""`exp` and `erf` of sixteen numbers at once, in one order of operations on every CPU.

Errors: `exp` below two units in the last place, `erf` below 2e-8 plus rounding. Both keep NaN; tests measure them.
"""

import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from refimpl.kernels.legacy_jit import instruction
from refimpl.kernels.vector import LANES, Typed, vector

_F32 = ir.VectorType(ir.FloatType(), LANES)
_F64 = ir.VectorType(ir.DoubleType(), LANES)
_I32 = ir.VectorType(ir.IntType(32), LANES)

# `erf(z) / z` as a polynomial in `z * z / 8 - 1`, for z up to 4, where erf is 1 in float32. Interpolated at the
# Chebyshev nodes from `math.erf`.
_ERF = (
    9.403816578637098e-05, -0.0002464220145300619, 0.0001732295034487736, -0.00032551962727953547,
    0.0014101528932398749, -0.0029097129559724944, 0.0047749462205666495, -0.008384044276092753,
    0.014381038744396328, -0.022562558293108114, 0.033053291696067265, -0.04574431267502724,
    0.05988782958300683, -0.07473048679705468, 0.09020894134279632, -0.10771029288641266,
    0.13167511777582963, -0.17657623580039228, 0.3535309956434049,
)  # fmt: skip
_EXP = tuple(1.0 / math.factorial(n) for n in range(7, -1, -1))  # on half of ln 2 to both sides
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # the first has few bits: its products with whole numbers are exact
_WHOLE = 1.5 * 2.0**23
_LOWEST, _HIGHEST = -86.9, 88.7  # beyond, 0 and infinity are given: float32 has hardly any normal numbers there


def _all(kind: Any, x: float) -> Any:
    return ir.Constant(kind, [x] * LANES)


def _call(b: Any, name: str, result: Any, parts: list[Any]) -> Any:
    function = ir.FunctionType(result, [part.type for part in parts])
    return b.call(cgutils.get_or_insert_function(b.module, function, name), parts)


def _polynomial(b: Any, kind: Any, suffix: str, coefficients: tuple[float, ...], x: Any) -> Any:
    value = _all(kind, coefficients[0])
    for coefficient in coefficients[1:]:
        value = _call(b, f"llvm.fmuladd.{suffix}", kind, [value, x, _all(kind, coefficient)])
    return value


def _clamped(b: Any, kind: Any, x: Any, low: float, high: float) -> Any:
    """Between two bounds; NaN stays NaN."""
    x = b.select(b.fcmp_ordered("<", x, _all(kind, low)), _all(kind, low), x)
    return b.select(b.fcmp_ordered(">", x, _all(kind, high)), _all(kind, high), x)


@instruction
def erf(typing: Any, x: Any) -> Typed:
    """The error function, in float64 and then rounded. Source: interpolation, see above."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        z = _clamped(b, _F64, b.fpext(args[0], _F64), -4.0, 4.0)
        place = b.fsub(b.fmul(b.fmul(z, z), _all(_F64, 0.125)), _all(_F64, 1.0))
        return b.fptrunc(b.fmul(_polynomial(b, _F64, "v16f64", _ERF, place), z), _F32)

    return vector(vector), generate


@instruction
def exp(typing: Any, x: Any) -> Typed:
    """The exponential function: `2**n` times a polynomial in the rest."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        x = _clamped(b, _F32, args[0], _LOWEST, _HIGHEST)
        n = _call(b, "llvm.rint.v16f32", _F32, [b.fmul(x, _all(_F32, 1.0 / math.log(2.0)))])
        rest = _call(b, "llvm.fmuladd.v16f32", _F32, [n, _all(_F32, -_LN2_HIGH), x])
        rest = _call(b, "llvm.fmuladd.v16f32", _F32, [n, _all(_F32, -_LN2_LOW), rest])
        # Of a float near `_WHOLE` the lowest bits are a whole number; LLVM's conversion would go one by one. n is at
        # most 128, for which float32 has no power of two: one factor of two is put on the polynomial.
        whole = b.bitcast(b.fadd(n, _all(_F32, _WHOLE + 126.0)), _I32)
        bits = b.shl(whole, ir.Constant(_I32, [23] * LANES))
        value = b.fmul(_polynomial(b, _F32, "v16f32", _EXP, rest), _all(_F32, 2.0))
        value = b.fmul(value, b.bitcast(bits, _F32))
        value = b.select(b.fcmp_ordered("<", args[0], _all(_F32, _LOWEST)), _all(_F32, 0.0), value)
        return b.select(b.fcmp_ordered(">", args[0], _all(_F32, _HIGHEST)), _all(_F32, math.inf), value)

    return vector(vector), generate
