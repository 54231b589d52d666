"""Drawn cases of samplers: alone on a table, and in `generate` on the scripted model."""

from typing import Any

from conformance.make.questions import ask, load, step
from conformance.make.questions.samplers import STATES, TABLE, logs, sample, sampler

WORDS: dict[str, tuple[str, dict[str, Any]]] = {  # a row's word, the sampler's name and what it is set to
    "greedy": ("greedy", {}),
    "random": ("random", {}),
    "topk": ("top_k", {"k": 3}),
    "topp": ("top_p", {"p": 0.6}),
    "beam": ("beam", {"num_beams": 3}),
    "contrastive": ("contrastive", {"k": 3, "alpha": 0.6}),
    "speculative": ("speculative", {"num_speculative_tokens": 3}),
}
WARM = {"below": 0.5, "1": 1.0, "above": 1.7}
STOPS = {"none": None, "1": [1], "2": [1, 3], "3-": [3, 1, 4]}
CYCLE = [2, 0, 4, 1, 3]  # what follows each token for sure, where a draw has no seed
# In `generate`: a draw without a seed must be sure, and of what has no probability any token may be a candidate.
CERTAIN: dict[str, dict[str, Any]] = {
    "contrastive": {"alpha": 0.1},
    "random": {"temperature": 0.02},
    "topk": {"k": 1},
    "topp": {"p": 0.0},
}
PROMPTS = [[0] * 8, [3, 0, 0, 0, 0, 0, 0, 0], [2, 4, 0, 0, 0, 0, 0, 0]]
KINDS = ("random", "topk", "topp")


def sampler_question(number: int, row: dict[str, Any], about: str, stops: dict[str, Any]) -> dict[str, Any]:
    """One row as a case; `stops` are those of the script."""
    word, seeded = row["sampler"], row["seeded"] == "yes"
    name, settings = WORDS[word]
    settings = settings | ({"temperature": WARM[row["temperature"]]} if row["temperature"] != "1" else {})
    settings |= {"seed": 11} if seeded else {}
    drawn = seeded and word in KINDS
    if row["op"] == "generate":
        certain = CERTAIN.get(word, {}) if not seeded else {}
        asked = on_the_script(sampler(name, **settings | certain), row, stops)
    else:
        asked = on_a_table(word, sampler(name, **settings), row, drawn or word not in KINDS)
    clause = "samplers.loop.temperature" if row["stops"] in ("none", "auto") else "samplers.loop.stop"
    id = f"{clause}#drawn-samplers-{number:02}"
    core = "core" if row["op"] == "generate" else "probe"
    capability, by = ("jax-random", "jax") if drawn else (core, "keras_hub")
    return ask(id, about, "Seeds" if drawn else "Sampling Stop", *asked, capability=capability, by=by)


def on_the_script(chosen: Any, row: dict[str, Any], stops: dict[str, Any]) -> list[dict[str, Any]]:
    """Texts of the scripted model."""
    texts = ["a", "bcd", "", "b"][: int(str(row["batch"])[0])]
    args: dict[str, Any] = {} if row["stops"] == "auto" else {"stop_token_ids": stops[str(row["stops"])]}
    short = load("bart_scripted", encoder_sequence_length=6, decoder_sequence_length=10, keep=False)
    return [short, step("generate", {"exact": ["text"]}, inputs=texts, sampler=chosen, **args)]


def on_a_table(word: str, chosen: Any, row: dict[str, Any], spread: bool) -> list[dict[str, Any]]:
    """A sampler alone. What a draft may not change is asked of greedy search before."""
    rows = int(str(row["batch"])[0])
    table = logs(TABLE) if spread else logs([[float(n == token) for n in range(5)] for token in CYCLE])
    mask = [[n < max(1, sum(map(bool, p))) for n in range(8)] for p in PROMPTS]
    args: dict[str, Any] = {"prompt": PROMPTS[:rows], "mask": mask[:rows], "stop_token_ids": STOPS[str(row["stops"])]}
    if word == "contrastive":
        args |= {"states": STATES, "hidden_states": [[STATES[0]] * 8] * rows}
    if word != "speculative":
        return [sample({"exact": ["ids"]}, chosen, table, **args)]
    draft = sample({"same_as": {"step": 0, "keys": ["ids"]}}, chosen, table, draft=logs(TABLE[::-1]), **args)
    return [sample({"exact": ["ids"]}, sampler("greedy"), table, **args), draft]
