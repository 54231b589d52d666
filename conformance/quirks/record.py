"""Writes KerasHub's answers to the cases that it fails: KERAS_BACKEND=jax python -m conformance.quirks.record [--all]

Without `--all` only cases are asked that have no recorded answer yet.
"""

import json
import sys
from typing import Any

import numpy as np

from conformance.adapters.keras_hub import KerasHub
from conformance.quirks.proof import RECORDED, asked, links, replies_to
from conformance.suite.messages import encode


def short(value: Any) -> Any:
    """A reply in JSON; floats with the seven digits that float32 has."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return encode(value) | {"data": [float(f"{x:.7g}") for x in value.ravel().astype(float)]}
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    return encode(value)


def looked_at(reply: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """A reply without what the case does not look at; of an error or a load all is kept."""
    keys = asked(step.get("expect", {}))
    if "result" not in reply or not keys:
        return reply
    return {"result": {key: value for key, value in reply["result"].items() if key in keys}}


def main(every: bool = False) -> None:
    """Ask the backend's share and keep what the others said."""
    adapter = KerasHub()
    info = adapter.start()
    kept = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    cases = {link.case.id: link.case for link in links() if link.backend == info["backend"]}
    old = {} if every else kept.get(info["backend"], {}).get("answers", {})
    answers = {id: replies for id, replies in old.items() if id in cases}
    for id, case in sorted(cases.items()):
        if id in answers:
            continue
        replies = replies_to(adapter, case)
        last = max(n for n, step in enumerate(case.steps) if "expect" in step)
        answers[id] = [
            short(looked_at(reply, step)) if "expect" in step or "error" in reply or n == 1 else {"result": {}}
            for n, (step, reply) in enumerate(zip(case.steps[: last + 1], replies, strict=False))
        ]
        for reply in answers[id]:
            if "error" in reply:
                reply["error"]["message"] = " ".join(reply["error"]["message"].split())[:200]
    import keras

    answers = dict(sorted(answers.items()))
    about = {"keras_hub": info["version"], "keras": keras.__version__, "backend": info["backend"]}
    kept[info["backend"]] = {"version": about, "answers": answers}
    lines = [json.dumps(backend) + ": " + _lines(kept[backend]) for backend in sorted(kept)]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(answers)} cases recorded on {about}")


def _lines(one: dict[str, Any]) -> str:
    """One line for each case."""
    rows = [f"  {json.dumps(id)}: {json.dumps(replies)}" for id, replies in one["answers"].items()]
    return '{"version": ' + json.dumps(one["version"]) + ', "answers": {\n' + ",\n".join(rows) + "\n}}"


if __name__ == "__main__":
    main("--all" in sys.argv)
