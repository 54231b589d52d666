"""The plain text form of an explanation, for terminals and for readers by ear."""

import numpy as np

from refimpl.explain.beam_tree import drawn, tree
from refimpl.explain.explanation import Candidate, Explanation, Token, visible

SHADES = " ░▒▓█"  # nothing, and quarters of what a row has
WIDE = 100


def plain_text(explanation: Explanation, every_head: bool) -> str:
    """All of it, in the order of the page."""
    e = explanation
    lines = [f"{e.input} -> {e.output}" if e.output or e.input else "", e.model, f"chosen by {e.sampler}", ""]
    lines += _tokens("source", e.source) + _tokens("prompt", e.target[: e.prompt])
    lines += _tokens("generated", e.target[e.prompt :])
    lines += ["", "The likeliest tokens of each step: the model's percent > what the sampler made of them; * was taken"]
    lines += [f"{n:>4}  {'   '.join(map(_candidate, step))}" for n, step in enumerate(e.steps, start=e.prompt)]
    if e.beams:
        lines += [
            "",
            "The beams as a tree: tokens, and their sum of log probabilities; * is the result",
            *drawn(tree(e.beams)),
        ]
    lines += ["", *_attention(e, every_head), *_cache(e)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _tokens(title: str, tokens: list[Token]) -> list[str]:
    """Tokens with their ids, in lines that fit."""
    lines, line = [], f"{title:<10}"
    for token in tokens:
        word = f" {visible(token.text)}:{token.id}"
        if len(line) + len(word) > WIDE:
            lines.append(line)
            line = " " * 10
        line += word
    return [*lines, line]


def _candidate(candidate: Candidate) -> str:
    """`*EH 99.1>100`, or with what a search says in brackets."""
    star = "*" if candidate.taken else ""
    chance = "" if candidate.chance is None else f">{percent(candidate.chance)}"
    note = f" ({candidate.note})" if candidate.note else ""
    return f"{star}{visible(candidate.token.text)} {percent(candidate.probability)}{chance}{note}"


def percent(share: float) -> str:
    """`56.4`, and `<0.1` for next to nothing."""
    return "<0.1" if 0 < share < 0.001 else f"{100 * share:.1f}"


def _attention(e: Explanation, every_head: bool) -> list[str]:
    """Heat maps: a row is a token that looks, a column one that is looked at."""
    lines = ["Attention, in percent: a row is a token, a column what it looks at; ░ from 5, ▒ 25, ▓ 50, █ 75 on"]
    read = e.target[:-1]
    for name, rows, columns in (("encoder", e.source, e.source), ("decoder", read, read), ("cross", read, e.source)):
        weights = getattr(e.attention, name)
        if not weights.size:
            continue
        if 2 * len(columns) > WIDE:
            lines += [
                "",
                f"{name}: {len(columns)} columns are too wide for text; the page that --out writes shows them",
            ]
            continue
        maps = {f"{name}, mean of all layers and heads": weights.mean(axis=(0, 1))}
        if every_head:
            maps = {f"{name}, layer {n}, head {h}": weights[n, h] for n, h in np.ndindex(*weights.shape[:2])}
        for title, found in maps.items():
            lines += ["", title, *_heat_map(found, rows, columns)]
    return lines


def _heat_map(weights: np.ndarray, rows: list[Token], columns: list[Token]) -> list[str]:
    """Two characters a column. Shapes: (T, S)."""
    names = [visible(token.text)[:12] for token in rows]
    wide = max(map(len, names), default=0)
    steps = np.digitize(weights, (0.05, 0.25, 0.5, 0.75))
    head = " " * wide + "  " + "".join(f"{visible(token.text)[-2:]:<2}" for token in columns)
    return [head] + [
        f"{name:>{wide}}  {''.join(SHADES[step] * 2 for step in row)}" for name, row in zip(names, steps, strict=True)
    ]


def _cache(e: Explanation) -> list[str]:
    """How much the cache holds."""
    cache, read = e.cache, max(len(e.target) - 1, 0)
    per = cache.numbers * cache.bytes
    return [
        "",
        f"Cache: 2 (keys, values) x {cache.layers} layers x {cache.heads} heads x {cache.head_dim} = "
        f"{cache.numbers} numbers a token, {per:,} bytes.",
        f"Source: {cache.source_columns} tokens, {cache.source_columns * per:,} bytes, computed once. Decoder: grew to "
        f"{read} tokens, {read * per:,} bytes, of the {cache.columns} that have room.",
    ]
