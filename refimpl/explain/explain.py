"""From a text to the record of how its result was generated."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.decoding.stop import resolve_stop_token_ids
from refimpl.decoding.trim import source_of
from refimpl.errors import InputError
from refimpl.explain.explanation import AttentionWeights, Beam, Cache, Candidate, Explanation, Token
from refimpl.explain.watch import Watch, Weights
from refimpl.models.generate_io import as_batches
from refimpl.samplers.ranking import top_k
from refimpl.samplers.sampler import Sampler

SHOWN = 5  # candidates of a step


def explain(lm: Any, inputs: Any, max_length: int | None = None, stop_token_ids: Any = "auto") -> Explanation:
    """How `lm.generate` comes to its result for one text. A sampler that draws goes on as if nothing had been asked.

    Raises: InputError for several texts, and what `generate` raises.
    Spec: task.explain
    """
    stops = resolve_stop_token_ids(stop_token_ids, lm.preprocessor)
    tokens = _one_row(lm, inputs, max_length)
    watch = Watch(lm)
    output = {key: np.asarray(value)[0] for key, value in watch.generate(tokens, stops).items()}
    if output["decoder_token_ids"].ndim > 1:  # all beams: the best is the first
        output = {key: value[0] for key, value in output.items()}
    ids = output["decoder_token_ids"][output["decoder_padding_mask"].astype(bool)]
    prompt = int(tokens["decoder_padding_mask"][0].sum())
    post = lm.preprocessor.generate_postprocess if lm.preprocessor is not None else None
    named = _namer(lm)
    text, source = _source(lm, tokens, named)
    return Explanation(
        model=f"{type(lm).__name__}, {lm.count_params():,} parameters, {lm.dtype}",
        sampler=_described(watch.sampler),
        input=text,
        output=post(output) if post else "",
        source=source,
        target=[named(id) for id in ids],
        prompt=prompt,
        steps=[_candidates(watch, ids, column, prompt, named) for column in range(prompt, len(ids))],
        attention=_attention(watch, ids, prompt, len(source)),
        beams=_beams(watch, ids, prompt, stops, named),
        cache=_cache(lm.backbone, tokens["decoder_token_ids"].shape[1], len(source)),
    )


def _one_row(lm: Any, inputs: Any, max_length: int | None) -> Mapping[str, np.ndarray]:
    """The token dictionary of one text."""
    batches, _ = as_batches(inputs, takes_text=lm.preprocessor is not None)
    rows = [lm.backbone.checked(lm._preprocess(batch, max_length)) for batch in batches]
    if len(rows) != 1 or len(rows[0]["decoder_token_ids"]) != 1:
        raise InputError(
            f"{sum(len(row['decoder_token_ids']) for row in rows)} texts were passed.",
            "One text is explained at a time.",
            "Pass a string, or a dictionary of single texts.",
            "task.explain",
        )
    return rows[0]


def _source(lm: Any, tokens: Mapping[str, np.ndarray], named: Any) -> tuple[str, list[Token]]:
    """The text of the source and its tokens; of sound its length, and when each frame begins."""
    source, mask = (x[0] for x in source_of(lm.backbone, tokens))
    if source.ndim > 1:
        return _sound(
            len(source), lm.backbone.source_length(len(source)), getattr(lm.preprocessor, "audio_converter", None)
        )
    given = {"decoder_token_ids": source, "decoder_padding_mask": mask}
    text = lm.preprocessor.generate_postprocess(given) if lm.preprocessor is not None else ""
    return text, [named(id) for id in source]


def _sound(samples: int, frames: int, converter: Any) -> tuple[str, list[Token]]:
    """The length of a recording and its frames, in seconds where the rate is known."""
    rate = getattr(converter, "sampling_rate", 0)
    if not rate:
        return f"{samples:,} samples", [Token(n, str(n)) for n in range(frames)]
    begins = np.arange(frames) * samples / rate / frames
    return f"{samples / rate:.2f} seconds of sound", [Token(n, f"{begin:.2f}s") for n, begin in enumerate(begins)]


def _namer(lm: Any) -> Any:
    """Ids to tokens, in the vocabulary's words; an id that it lacks, as a model may have more, is its own name."""
    tokenizer: Any = getattr(lm.preprocessor, "tokenizer", None)
    known = 0 if tokenizer is None else tokenizer.vocabulary_size()

    def named(id: Any) -> Token:
        return Token(int(id), str(tokenizer.id_to_token(int(id)) if id < known else id))

    return named


def _described(sampler: Any) -> str:
    """The sampler's class and settings."""
    settings = sampler.get_config() if callable(getattr(sampler, "get_config", None)) else {}
    name = getattr(sampler, "__name__", type(sampler).__name__)
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"


def _candidates(watch: Watch, ids: np.ndarray, column: int, prompt: int, named: Any) -> list[Candidate]:
    """The likeliest tokens of a column, and the one that was taken if it is not among them."""
    found, row = watch.at(ids, column)
    logits = found.logits[row : row + 1]
    probability = Sampler().compute_probabilities(logits)
    shown = top_k(probability, min(SHOWN, probability.shape[-1]))[1][0].tolist()
    shown += [] if ids[column] in shown else [int(ids[column])]
    chance = None
    if callable(getattr(watch.sampler, "get_distribution", None)):
        chance = watch.sampler.get_distribution(watch.sampler.compute_probabilities(logits))[0]
    return [
        Candidate(
            named(id),
            float(probability[0, id]),
            None if chance is None else float(chance[id]),
            _note(watch, row, column - prompt, id, logits),
            bool(id == ids[column]),
        )
        for id in shown
    ]


def _note(watch: Watch, row: int, step: int, id: int, logits: np.ndarray) -> str:
    """What a search made of a token."""
    if watch.beams:
        kept = watch.beams[step]
        places = np.flatnonzero((kept.parent == row) & (kept.token == id))
        return f"beam {places[0] + 1}, {kept.score[places[0]]:.2f}" if places.size else "dropped"
    if watch.scores:
        ids = top_k(watch.sampler.compute_probabilities(logits), watch.sampler.k)[1][0].tolist()
        if id not in ids:
            return "not tried"
        return f"score {watch.scores[step][ids.index(id)]:.2f}"
    return ""


def _attention(watch: Watch, ids: np.ndarray, prompt: int, source: int) -> AttentionWeights:
    """The weights of the tokens that led to the result, put together from the passes.

    Shapes: -> (L, H, S, S), (L, H, T, T), (L, H, T, S), T the tokens without the last. Spec: task.attention-weights
    """
    read = len(ids) - 1

    def layers(weights: Weights, side: str, kind: str) -> np.ndarray:
        """Shapes: -> (L, R, H, T, S)."""
        found = [x for (of, _, what), x in weights.items() if (of, what) == (side, kind)]
        return np.stack(found) if found else np.zeros((0, 1, 1, max(prompt, 1), max(read, source)))

    def decoder(kind: str, keys: int) -> np.ndarray:
        """The rows of the prompt, then one of each pass."""
        given = layers(watch.before, "decoder", kind)[:, 0, :, : max(prompt - 1, 0), :keys]
        passes = (watch.at(ids, column) for column in range(max(prompt, 1), len(ids)))
        rows = [layers(found.weights, "decoder", kind)[:, row, :, :1, :keys] for found, row in passes]
        return np.concatenate([given, *rows], axis=2)

    encoder = layers(watch.before, "encoder", "self_attention")[:, 0]
    return AttentionWeights(encoder, decoder("self_attention", read), decoder("cross_attention", source))


def _beams(watch: Watch, ids: np.ndarray, prompt: int, stops: tuple[int, ...] | None, named: Any) -> list[list[Beam]]:
    """The beams of every step, marked where they led to the result."""
    said: list[list[list[int]]] = []  # for each step and beam, what it said
    for kept in watch.beams:
        before = said[-1] if said else [[]] * len(kept.parent)
        said.append([[*before[p], int(token)] for p, token in zip(kept.parent, kept.token, strict=True)])
    result, steps = ids[prompt:].tolist(), []
    for kept, texts in zip(watch.beams, said, strict=True):
        row = []
        for parent, token, score, text in zip(kept.parent, kept.token, kept.score, texts, strict=True):
            best = text == result[: len(text)]
            stopped = bool(set(text[:-1]) & set(stops or ()))
            row.append(Beam(int(parent), named(token), float(score), best, stopped))
        steps.append(row)
    return steps


def _cache(backbone: Any, columns: int, source: int) -> Cache:
    """The sizes of the cache."""
    layers, _, columns, heads, head_dim = backbone.cache_shape(columns)
    return Cache(layers, heads, head_dim, np.dtype(backbone.dtype).itemsize, columns, source)
