"""Null variants: `refimpl` computing the same otherwise. A suite that flags one of them is too strict."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.adapters.refimpl import Refimpl
from conformance.suite.cases import Case
from conformance.suite.patches import Patch, patched

OPS, ATTENTION = "refimpl.autograd.ops", "refimpl.autograd.attention"


@dataclass(frozen=True)
class Null:
    """A way to compute the same. `chapters` are those that it can take part in, all if none is named."""

    name: str
    adapter: Callable[[], Refimpl]
    patches: tuple[Patch, ...] = ()
    chapters: tuple[str, ...] = ()
    threads: str = "1"

    @contextlib.contextmanager
    def active(self) -> Iterator[Refimpl]:
        """The adapter, as long as the patches are in place."""
        with patched(self.patches, self.name):
            yield self.adapter()

    def cases(self, cases: list[Case]) -> list[Case]:
        """The cases that it can be asked."""
        return [case for case in cases if not self.chapters or case.chapter in self.chapters]


class Padded(Refimpl):
    """Probes with more padding on both sides, cut off again from what comes back."""

    capabilities = ("core", "probe")
    more = 3

    def batch(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Some more columns of padding after the encoder's tokens."""
        found = super().batch(inputs)
        most = getattr(self.lm.backbone, "max_sequence_length", np.inf)  # T5 has no limit
        for key in ("encoder_token_ids", "encoder_padding_mask"):
            if key in found and found[key].shape[1] + self.more <= most:
                found[key] = np.pad(found[key], ((0, 0), (0, self.more)), constant_values=0)
        return found

    def op_states(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """States of the columns asked for."""
        found = super().op_states(inputs)
        found["encoder_sequence_output"] = found["encoder_sequence_output"][:, : len(inputs["encoder_token_ids"][0])]
        return found


class Doubles(Refimpl):
    """Everything in float64."""

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """The preset, in double precision."""
        return super().load({"dtype": "float64"} | args)


def _reversed(right: Any) -> Any:
    """The sum over the inner dimension from its end, padded rows and all."""
    return lambda x, matrix: right(np.ascontiguousarray(x[..., ::-1]), np.ascontiguousarray(matrix[::-1]))


def _no_blas(_right: Any) -> Any:
    """Products by einsum, which adds up one after the other."""
    return lambda x, matrix: np.einsum("...i,io->...o", x, matrix, optimize=False)


def _pairwise(_right: Any) -> Any:
    """The whole product at once: BLAS shares the sums out otherwise than in blocks of rows."""
    return lambda x, matrix: (x.reshape(-1, x.shape[-1]) @ matrix).reshape(*x.shape[:-1], matrix.shape[1])


def _mix_reversed(right: Any) -> Any:
    """Attention's sum over the source from its end."""
    return lambda weights, value: right(weights[..., ::-1], value[:, ::-1])


def _norm_in_double(right: Any) -> Any:
    """Layer norm computed in float64 and rounded once."""
    return lambda x, *rest: (
        right(x.astype("float64"), *rest).astype(x.dtype) if isinstance(x, np.ndarray) else right(x, *rest)
    )


def definition() -> Refimpl:
    """Plain NumPy."""
    return Refimpl(jit_compile=False)


MODEL = ("models", "decoding", "generate", "samplers")  # not invariance: exact bits are refimpl's own promise
NULLS = (
    Null("plain", definition),
    Null("jit", Refimpl),
    Null("two-threads", Refimpl, (), MODEL, threads="2"),
    Null("sums-reversed", definition, ((OPS, "matmul_rows", _reversed),)),
    Null("no-blas", definition, ((OPS, "matmul_rows", _no_blas),), (*MODEL, "presets")),
    Null("one-product", definition, ((OPS, "matmul_rows", _pairwise),), (*MODEL, "presets")),
    Null("attention-from-the-end", definition, ((ATTENTION, "attention_mix", _mix_reversed),), (*MODEL, "presets")),
    Null("norms-in-double", definition, ((OPS, "layer_norm", _norm_in_double),)),
    Null("float64", lambda: Doubles(jit_compile=False), (), MODEL),
    Null("more-padding", lambda: Padded(jit_compile=False), (), ("models", "decoding")),
)
