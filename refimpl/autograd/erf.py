"""The error function, which NumPy lacks, by W. J. Cody's rational approximations (error near one unit of float64)."""

import numpy as np

# Coefficients of Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), highest
# power first: erf(x)/x in x*x below 0.46875, erfc(x) exp(x*x) in x up to 4, and its tail in 1/(x*x).
_SMALL = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
_TAIL = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


_BLOCK = 2**14


def erf(x: np.ndarray) -> np.ndarray:
    """`2 / sqrt(pi)` times the integral of `exp(-t*t)` from 0 to x, computed in float64.

    Shapes: any -> the same, float64.
    """
    x = np.asarray(x, np.float64)
    if x.size > _BLOCK:  # the many intermediate results of a block stay in the cache
        flat = x.reshape(-1)
        parts = [_erf(flat[first : first + _BLOCK]) for first in range(0, x.size, _BLOCK)]
        return np.concatenate(parts).reshape(x.shape)
    return _erf(x)


def _erf(x: np.ndarray) -> np.ndarray:
    """The same for an array of moderate size."""
    size = np.abs(x)
    small = np.minimum(size, 0.46875)
    near = x * _ratio(_SMALL, small * small)
    middle = np.clip(size, 0.46875, 4.0)
    far = 1.0 - np.exp(-middle * middle) * _ratio(_MIDDLE, middle)
    if (size > 4.0).any():
        large = np.clip(size, 4.0, 7.0)  # beyond 6 the result is 1 to the last bit
        inverse = 1.0 / (large * large)
        tail = (1.0 / np.sqrt(np.pi) - inverse * _ratio(_TAIL, inverse)) / large
        far = np.where(size > 4.0, 1.0 - np.exp(-large * large) * tail, far)
    return np.where(size <= 0.46875, near, np.copysign(far, x))


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> np.ndarray:
    """One polynomial over another."""
    top, bottom = coefficients
    return np.polyval(top, x) / np.polyval(bottom, x)
