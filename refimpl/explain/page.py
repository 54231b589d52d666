"""An explanation as one HTML page: template, style, script and the numbers, and nothing from elsewhere."""

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.explain.beam_tree import drawn, tree
from refimpl.explain.explanation import Explanation, Token, visible
from refimpl.explain.picture import picture

HERE = Path(__file__).parent
PARTS = 10_000  # attention is shown in parts of this size


def page(explanation: Explanation) -> str:
    """The page. Spec: task.explain"""
    parts = {name: (HERE / f"page.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    title = (
        f"{explanation.input} → {explanation.output}"
        if explanation.input or explanation.output
        else "One row of token ids"
    )
    filled = {
        "title": html.escape(title),
        "picture": picture(explanation),
        "style": parts["css"],
        "script": parts["js"],
        "data": in_script(_data(explanation)),
        "plain": html.escape(explanation.text(every_head=True)),
    }
    # In one go: what a text says is never taken for a place of the template.
    return re.sub(r"\{\{ (\w+) \}\}", lambda place: filled[place[1]], parts["html"])


def in_script(data: Any) -> str:
    """JSON that may stand in a script element, whatever its texts say: `<`, `>` and `&` are written by number."""
    text = json.dumps(data, separators=(",", ":"))
    return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _data(e: Explanation) -> dict[str, Any]:
    """What the script shows."""
    return {
        "model": e.model,
        "sampler": e.sampler,
        "source": list(map(_token, e.source)),
        "target": list(map(_token, e.target)),
        "prompt": e.prompt,
        "steps": [[[*_token(c.token), c.probability, c.chance, c.note, c.taken] for c in step] for step in e.steps],
        "attention": {kind: _parts(weights) for kind, weights in e.attention._asdict().items()},
        "beams": [[[b.parent, *_token(b.token), b.score, b.best, b.stopped] for b in step] for step in e.beams],
        "tree": "\n".join(drawn(tree(e.beams))) if e.beams else "",
        "cache": e.cache._asdict() | {"numbers": e.cache.numbers},
    }


def _token(token: Token) -> tuple[int, str]:
    return token.id, visible(token.text)


def _parts(weights: np.ndarray) -> list[Any]:
    """Whole ten-thousandths. Shapes: (L, H, T, S) -> the same, as lists."""
    found: list[Any] = np.rint(weights.astype(np.float64) * PARTS).astype(int).tolist()
    return found
