"""Generation by the definition with somebody looking on: nothing is computed a second time.

Letters: R rows of a batch (beams, or candidates), H heads, T target length, S source length, V vocabulary.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from refimpl.autograd.attention import watcher
from refimpl.samplers import BeamSampler, ContrastiveSampler

Weights = dict[tuple[str, int, str], np.ndarray]  # side, layer, kind of attention -> (R, H, T, S)


class Column(NamedTuple):
    """One pass of the decoder. Shapes: before (R, t) the tokens so far, logits (R, V)."""

    before: np.ndarray
    logits: np.ndarray
    weights: Weights


class BeamStep(NamedTuple):
    """The beams that go on. Shapes: all (K,); `parent` counts the beams of the step before."""

    score: np.ndarray
    parent: np.ndarray
    token: np.ndarray


class Watch:
    """A copy of a task that generates as the task does, draws included, and remembers how. The task stays as it is."""

    def __init__(self, lm: Any) -> None:
        self.columns: list[Column] = []
        self.beams: list[BeamStep] = []
        self.scores: list[np.ndarray] = []  # of contrastive search, (k,) each
        self.before: Weights = {}  # of the encoder, and of the decoder over the prompt
        self._weights: Weights = {}
        self.lm = copy.copy(lm)
        self.lm._backbone = self._watched_backbone(copy.copy(lm.backbone))
        self.lm.jit_compile = False
        self.sampler = copy.deepcopy(lm.sampler)  # so that its next draws stay its next draws
        self.lm.sampler = self._watched_sampler(self.sampler)

    def generate(self, inputs: Mapping[str, Any], stop_token_ids: tuple[int, ...] | None) -> dict[str, np.ndarray]:
        """What the task's `generate_step` gives."""
        found: dict[str, np.ndarray] = self.lm.generate_step(inputs, stop_token_ids)
        return found

    def at(self, ids: np.ndarray, column: int) -> tuple[Column, int]:
        """The pass before the token in a column was chosen, and its row whose tokens so far are those of `ids`."""
        for found in reversed(self.columns):
            if found.before.shape[1] == column:
                rows = np.flatnonzero((found.before == ids[:column]).all(axis=1))
                if rows.size:
                    return found, int(rows[0])
        raise LookupError(f"no pass led to column {column}")

    def _watched_backbone(self, backbone: Any) -> Any:
        """The backbone, which tells of the weights of every attention where they belong."""
        right = backbone.attend
        name = backbone.layer_name
        sides = {
            f"{name.format(side, n)}/": (side, n)
            for side in ("encoder", "decoder")
            for n in range(backbone.depth(side))
        }

        def attend(kind: str, x: Any, view: Any, weights: Any, drop: Any) -> Any:
            side, n = sides[weights._path]
            token = watcher.set(lambda found: self._weights.update({(side, n, kind): found}))
            try:
                return right(kind, x, view, weights, drop)
            finally:
                watcher.reset(token)

        backbone.attend = attend
        return backbone

    def _watched_sampler(self, sampler: Any) -> Callable[..., Any]:
        """The sampler, which tells of every question it asks; searches also of what they compare."""
        if isinstance(sampler, BeamSampler):
            _tell(sampler, "_best", lambda found: self._keep_beams(sampler.num_beams, *found))
        if isinstance(sampler, ContrastiveSampler):
            _tell(sampler, "_score", lambda found: self.scores.append(found[0]))

        def watched(next: Any, prompt: np.ndarray, **more: Any) -> Any:
            self.before = self._take()

            def told(prompt: np.ndarray, cache: Any, index: int) -> Any:
                found = next(prompt, cache, index)
                self.columns.append(Column(prompt[:, :index].copy(), np.asarray(found[0]), self._take()))
                return found

            return sampler(told, prompt, **more)

        return watched

    def _keep_beams(self, count: int, score: np.ndarray, parent: np.ndarray, token: np.ndarray) -> None:
        self.beams.append(BeamStep(score[0], parent % count, token))

    def _take(self) -> Weights:
        found, self._weights = self._weights, {}
        return found


def _tell(owner: Any, name: str, listener: Callable[[Any], None]) -> None:
    """Let an object's method tell what it found."""
    right = getattr(owner, name)

    def told(*given: Any) -> Any:
        found = right(*given)
        listener(found)
        return found

    setattr(owner, name, told)
