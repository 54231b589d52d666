# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of searching and drawing that show with several rows, several beams, several calls, or bare names only."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import result

BEAM, CONTRASTIVE, SAMPLER = (f"refimpl.samplers.{name}" for name in ("beam_sampler", "contrastive_sampler", "sampler"))
TOP_K, TOP_P, DRAWS = "refimpl.samplers.top_k_sampler", "refimpl.samplers.top_p_sampler", "refimpl.random.draws"
STEP, NAMES = "refimpl.decoding.generate_step", "samplers.get.names"
FOLLOWS, FORCED, FINISHED = (
    "samplers.beam.cache-follows",
    "samplers.beam.forced-columns",
    "samplers.beam.finished-go-on",
)


def defaults(**changed: Any) -> Any:
    """A constructor with other defaults."""

    def make(right: Any) -> Any:
        def init(self: Any, *given: Any, **named: Any) -> None:
            right(self, *given, **named) if given else right(self, **{**changed, **named})

        return init

    return make


def _best(change: Any) -> Any:
    """`BeamSampler._best` with a changed result: `change(scores, came_from, token, K)`."""
    return lambda right: lambda self, p, scores: change(*right(self, p, scores), scores.shape[1])


def _rows_mixed(scores: Any, came_from: Any, token: Any, beams: int) -> Any:
    """The number of the row is forgotten: all beams come from those of the first row."""
    return scores, came_from % beams, token


def _tie_of_beams(right: Any) -> Any:
    """Beams are chosen within each beam, not over all of a row's."""

    def best(self: Any, probabilities: Any, scores: Any) -> Any:
        if scores.shape[1] == 1 or (scores < -1e8).any():
            return right(self, probabilities, scores)
        token = probabilities.argmax(axis=-1)
        highest = np.log(np.take_along_axis(probabilities, token[:, None], axis=-1)[:, 0])
        return scores + highest.reshape(scores.shape), np.arange(scores.size), token

    return best


def _forced_scored(right: Any) -> Any:
    """Kept tokens are scored by their own probability, as another library would."""

    def call(self: Any, next: Any, prompt: Any, *rest: Any, **named: Any) -> Any:
        mask = np.asarray(named.get("mask"))
        place = {"column": 0}
        scored = self.compute_probabilities

        def only_forced(logits: Any) -> Any:
            found, column = scored(logits), place["column"]
            forced = np.repeat(mask[:, column], self.num_beams)
            ids = np.repeat(np.asarray(prompt)[:, column], self.num_beams)
            one = np.zeros_like(found)
            one[np.arange(len(found)), ids] = found[np.arange(len(found)), ids]
            return np.where(forced[:, None], one, found)

        def counted(ids: Any, cache: Any, index: int) -> Any:
            place["column"] = int(index)
            return next(ids, cache, index)

        self.compute_probabilities = only_forced
        try:
            return right(self, counted, prompt, *rest, **named)
        finally:
            del self.compute_probabilities

    return call


def _any_row(_right: Any) -> Any:
    """The search ends when one row has stopped."""
    return lambda ids, prompt, stops: stops is not None and bool((np.isin(ids, stops) & ~prompt).any())


def _by_beam(_right: Any) -> Any:
    """The search ends when one beam in each group of two has stopped."""

    def all_stopped(ids: Any, prompt: Any, stops: Any) -> bool:
        said = np.isin(ids, stops if stops is not None else ()) & ~prompt
        return bool(stops is not None and said.any(axis=-1)[:: 2 if len(ids) % 2 == 0 else 1].all())

    return all_stopped


def _same_noise(right: Any) -> Any:
    """All rows draw with the noise of the first one."""

    def gumbel(key: Any, shape: Any) -> Any:
        found = right(key, shape)
        return np.broadcast_to(found[:1], shape)

    return gumbel


def _no_new_key(right: Any) -> Any:
    """A seed generator that starts again with each call of the sampler."""

    def call(self: Any, *rest: Any, **named: Any) -> Any:
        generator = getattr(self, "seed_generator", None)
        if generator is not None:
            generator.state[1] = 0
        return right(self, *rest, **named)

    return call


def _first_history(right: Any) -> Any:
    """Candidates are compared with the first column's state only."""
    return lambda history, states: right(history[:, :1], states)


def _padded_history(right: Any) -> Any:
    """The columns to come, which are zero, are compared with as well: a cosine below 0 becomes 0."""
    return lambda history, states: np.maximum(right(history, states), 0)


def _dots(_right: Any) -> Any:
    """Products in place of cosines."""
    return lambda history, states: np.einsum("bte,bke->btk", history, states).max(axis=1)


MUTANTS = [
    Mutant("beam rows mixed", "B03", (FOLLOWS,), ((BEAM, "BeamSampler._best", _best(_rows_mixed)),)),
    Mutant("beams never compete", "B05", ("samplers.beam.score",), ((BEAM, "BeamSampler._best", _tie_of_beams),)),
    Mutant("beam scores start again", "B12", ("samplers.beam.score",), ((BEAM, "BeamSampler._best", _best(
        lambda scores, came, token, k: (scores - scores.max(axis=1, keepdims=True), came, token))),)),
    Mutant("kept tokens scored by themselves", "B11", (FORCED,), ((BEAM, "BeamSampler.__call__", _forced_scored),)),
    Mutant("beam temperature ignored", "S12", ("samplers.loop.temperature", "samplers.beam.score"), ((BEAM, "BeamSampler._best", lambda right: lambda self, p, scores: _warmed(self, right, p, scores)),)),
    Mutant("first stopped row ends the search", "B10", (FINISHED, "samplers.beam.cache-follows"), ((BEAM, "all_stopped", _any_row),)),
    Mutant("some stopped beams end the search", "B10", (FINISHED,), ((BEAM, "all_stopped", _by_beam),)),
    Mutant("search never ends early", "D10", (FINISHED,), ((BEAM, "all_stopped", lambda right: lambda *a: False),)),
    Mutant("last beam returned", "B07", ("samplers.beam.best",), ((BEAM, "BeamSampler.__call__", lambda right: lambda self, *a, **k: _worst(self, right, a, k)),)),
    Mutant("beam log probabilities of float16", "N17", ("samplers.beam.return-all",), ((BEAM, "log32", result(lambda x: x.astype(np.float16).astype(np.float32))),)),
    Mutant("beam source stays", "B03", (FOLLOWS,), ((BEAM, "repeated", lambda right: lambda cache, times: _tiled(right, cache, times)),)),
    Mutant("four beams", "S11", (NAMES,), ((BEAM, "BeamSampler.__init__", defaults(num_beams=4)),)),
    Mutant("all beams unasked", "S11", (NAMES, "samplers.beam.best"), ((BEAM, "BeamSampler.__init__", defaults(return_all_beams=True)),)),
    Mutant("top-k of fifty", "S11", (NAMES,), ((TOP_K, "TopKSampler.__init__", defaults(k=8)),)),
    Mutant("top-k of four", "S11", (NAMES,), ((TOP_K, "TopKSampler.__init__", defaults(k=4)),)),
    Mutant("top-p of nine tenths", "S11", (NAMES,), ((TOP_P, "TopPSampler.__init__", defaults(p=0.9)),)),
    Mutant("contrastive alpha of one tenth", "S11", (NAMES,), ((CONTRASTIVE, "ContrastiveSampler.__init__", defaults(alpha=0.1)),)),
    Mutant("contrastive k of four", "S11", (NAMES,), ((CONTRASTIVE, "ContrastiveSampler.__init__", defaults(k=2)),)),
    Mutant("cool by default", "S11", (NAMES,), (("refimpl.samplers.random_sampler", "RandomSampler.__init__", defaults(temperature=0.7)),)),
    Mutant("contrastive compares with the prompt only", "N", ("samplers.contrastive.score",), ((CONTRASTIVE, "similarity", _first_history),)),
    Mutant("contrastive compares with nothing", "N", ("samplers.contrastive.score",), ((CONTRASTIVE, "similarity", _padded_history),)),
    Mutant("contrastive products", "N", ("samplers.contrastive.score",), ((CONTRASTIVE, "similarity", _dots),)),
    Mutant("contrastive rows mixed", "B03", ("samplers.contrastive.score", "samplers.contrastive.hidden-states"), ((CONTRASTIVE, "repeated", lambda right: lambda cache, times: _tiled(right, cache, times)),)),
    Mutant("contrastive temperature ignored", "S12", ("samplers.loop.temperature", "samplers.contrastive.score"), ((CONTRASTIVE, "ContrastiveSampler._score", lambda right: lambda self, p, alike: right(self, p**np.float32(self.temperature), alike)),)),
    Mutant("contrastive ends with the first row", "D10", ("samplers.loop.stop",), ((CONTRASTIVE, "all_stopped", _any_row),)),
    Mutant("contrastive overwrites prompts", "P05", ("samplers.contrastive.candidates", "samplers.loop.prompt-kept"), ((CONTRASTIVE, "own_copies", result(lambda pair: (pair[0], np.zeros_like(pair[1])))),)),
    Mutant("rows share their noise", "D18", ("samplers.random.gumbel",), ((DRAWS, "gumbel", _same_noise),)),
    Mutant("each call draws the same", "D18", ("samplers.seed.state",), ((SAMPLER, "Sampler.__call__", _no_new_key),)),
    Mutant("top-k draws scaled by ranks", "S08", ("samplers.top-k.support",), ((TOP_K, "log32", lambda right: lambda p: right(p) * np.float32(0.5)),)),
    Mutant("temperature after top-p", "S08", ("samplers.loop.temperature",), ((TOP_P, "TopPSampler._kept", lambda right: lambda self, p: _late(self, right, p)),)),
    Mutant("temperature multiplies", "S08", ("samplers.loop.temperature",), ((SAMPLER, "Sampler.compute_probabilities", lambda right: lambda self, x: _multiplied(self, right, x)),)),
    Mutant("top-p unsorted", "S01", ("samplers.top-p.support",), ((TOP_P, "top_k", lambda right: lambda values, k: (values[:, :k], np.tile(np.arange(k), (len(values), 1)))),)),
    Mutant("ids in sixteen bits", "W15", ("generate.ragged-prompts", "generate.greedy.argmax"), ((STEP, "output_mask", lambda right: lambda ids, *rest: _short(right, ids, rest)),)),
]  # fmt: skip
# A sampler's settings and its temperature are clauses of all samplers.
SHARED = "samplers.get* samplers.loop* samplers.settings* samplers.temperature*"
ROOMS = {
    BEAM: "samplers.beam*",
    CONTRASTIVE: "samplers.contrastive*",
    TOP_K: "samplers.top-k*",
    TOP_P: "samplers.top-p*",
}
MUTANTS = [replace(m, block=f"{ROOMS[m.patches[0][0]]} {SHARED}") if m.patches[0][0] in ROOMS else m for m in MUTANTS]


def _worst(self: Any, right: Any, words: Any, named: Any) -> Any:
    """The beam of rank 2 in place of the best."""
    if self.return_all_beams or self.num_beams < 2:
        return right(self, *words, **named)
    self.return_all_beams = True
    try:
        return right(self, *words, **named)[0][:, 1]
    finally:
        self.return_all_beams = False


def _warmed(self: Any, right: Any, probabilities: Any, scores: Any) -> Any:
    """The probabilities that temperature 1 would give."""
    warm = probabilities ** np.float32(self.temperature or 1)
    return right(self, warm / warm.sum(axis=-1, keepdims=True), scores)


def _tiled(right: Any, cache: Any, times: int) -> Any:
    """Copies of the whole batch one after another, where each row's copies should stand together."""
    found = right(cache, times)
    if isinstance(found, np.ndarray):
        return found
    if isinstance(found, tuple) and len(found) == 4:
        rows = len(found[3]) // times
        order = np.tile(np.arange(rows) * times, times)
        return (*found[:2], found[2], found[3][order])
    return found


def _late(self: Any, right: Any, probabilities: Any) -> Any:
    """p is applied to what temperature 1 would give."""
    warm = probabilities**self.temperature
    kept, ids = right(self, (warm / warm.sum(axis=-1, keepdims=True)).astype(np.float32))
    return np.where(kept > 0, np.take_along_axis(probabilities, ids, axis=-1), np.float32(0)), ids


def _multiplied(self: Any, right: Any, logits: Any) -> Any:
    """`logits * temperature`."""
    temperature, self.temperature = (
        self.temperature,
        1 / self.temperature if self.temperature > 0.1 else self.temperature,
    )
    try:
        return right(self, logits)
    finally:
        self.temperature = temperature


def _short(right: Any, ids: Any, rest: Any) -> Any:
    ids[ids > 255] -= 256
    return right(ids, *rest)
