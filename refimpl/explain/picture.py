"""From source to result as one drawing: how much each generated token looked at each source token."""

from html import escape

import numpy as np

from refimpl.explain.explanation import Explanation, Token, visible

SEEN = 0.04  # a smaller share of attention is left out, unless all are small
MOST_LINES = 5  # of a token
MOST = 10  # characters of a token
CROWD = 40  # tokens that have room for their names
STYLE = """
.way { --text: #1c1f23; --soft: #5c6570; --accent: #1f5fa8; }
@media (prefers-color-scheme: dark) { .way { --text: #e6e8ea; --soft: #9aa4af; --accent: #82b4ee; } }
.way text { fill: var(--text); text-anchor: middle; font: 15px ui-monospace, Menlo, Consolas, monospace; }
.way .faint { fill: var(--soft); }
.way path { fill: none; stroke: var(--soft); opacity: 0.5; }
.way text.here { fill: var(--accent); font-weight: 700; }
.way path.here { stroke: var(--accent); opacity: 1; }
"""


def picture(e: Explanation, step: int | None = None) -> str:
    """Cross attention, the mean of all layers and heads, as an SVG; the lines of a `step` stand out."""
    above, below = e.source, e.target[e.prompt :]
    cross = e.attention.cross
    shares = cross.mean(axis=(0, 1)) if cross.size else np.zeros(cross.shape[2:])
    wide = max(36, 9 * max((len(_word(t)) for t in above + below if not _special(t)), default=1) + 14)
    # Of a crowd, as of sound, every tenth has room for its name.
    every, narrow = (10, 12) if len(above) > CROWD else (1, wide)
    across = max(len(above) * narrow, len(below) * wide)

    def x(place: int, of: int, width: int = narrow) -> float:
        return (across - of * width) / 2 + (place + 0.5) * width

    parts = []
    for n in range(len(below)):
        row = shares[max(e.prompt + n - 1, 0)]
        for place in np.argsort(-row, kind="stable")[:MOST_LINES]:
            if row[place] < min(SEEN, row.max() / 2):
                break
            a, b, share = x(int(place), len(above)), x(n, len(below), wide), row[place]
            curve = f"M{a:g} 30 C{a:g} 80 {b:g} 80 {b:g} 130"
            here = ' class="here"' if n == step else ""
            parts.append(f'<path data-step="{n}"{here} d="{curve}" stroke-width="{0.5 + 7 * share:.2f}"/>')
    parts += [_text(token, x(n, len(above)), 20, "") for n, token in enumerate(above) if n % every == every // 2]
    for n, token in enumerate(below):
        parts.append(_text(token, x(n, len(below), wide), 150, f'data-step="{n}" ', here=n == step))
    label = escape(f"{' '.join(map(_word, above))} becomes {' '.join(map(_word, below))}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="way" role="img" aria-label="{label}" '
        f'viewBox="0 0 {across} 160" style="min-width:{0.65 * across:.0f}px">'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _special(token: Token) -> bool:
    return token.text.startswith("<")


def _word(token: Token) -> str:
    """A token without its mark for a space, and not too long."""
    text = visible(token.text)
    bare = text[1:] if text[0:1] in ("Ġ", "▁") and len(text) > 1 else text
    return bare if len(bare) <= MOST else f"{bare[: MOST - 1]}…"


def _text(token: Token, x: float, y: int, attributes: str, here: bool = False) -> str:
    kind = " ".join(["faint"] * _special(token) + ["here"] * here)
    return f'<text {attributes}class="{kind}" x="{x:g}" y="{y}">{escape(_word(token))}</text>'
