"""Drawn cases of texts: for the scripted model, and for preprocessors."""

import re
from typing import Any

from conformance.make.questions import ask, load, refused, step
from conformance.make.questions.preprocessing import DECODER, ENCODER, TRAIN

STOPS = {"none": None, "0": [], "1": [5], "2": [5, 11], "3-": [12, 10, 4]}  # of the script: </s>, h and the like
Row = dict[str, Any]


def texts(number: int, row: Row) -> dict[str, Any]:
    """One row as texts for the scripted model."""
    rows = chosen(row["batch"])
    sources = (["a", "", "bcd", "efgh", "b"] * 2)[:rows]
    inputs: Any = sources[0] if row["input"] == "one" else sources
    if row["input"] == "dictionary":
        prompts = ["j", "g", "k", "d", "n", "m", "", "ab", "p"][:rows]
        inputs = {"encoder_text": sources} | ({"decoder_text": prompts} if row["prompts"] == "given" else {})
    args: dict[str, Any] = {} if row["stops"] == "auto" else {"stop_token_ids": STOPS[str(row["stops"])]}
    steps = [load("bart_scripted", encoder_sequence_length=6, decoder_sequence_length=10)]
    if row["stops"] == 0:
        steps.append(step("generate", refused("value", "type", "index", "runtime"), inputs=inputs, **args))
    elif inputs == {"encoder_text": sources}:  # KerasHub does not take it: the same as the texts alone
        again = {"same_as": {"step": 1, "keys": ["text"]}}
        steps.append(step("generate", {"exact": ["text"]}, inputs=sources, **args))
        steps.append(step("generate", again, inputs=inputs, **args))
    else:
        steps.append(step("generate", {"exact": ["text"]}, inputs=inputs, **args))
    by = "hand" if row["stops"] == 0 else "keras_hub"
    return ask(f"generate.stop.ids#drawn-{number:02}", f"Drawn: {shown(row)}.", "Stop Ragged", *steps, by=by)


def packed(number: int, row: Row) -> dict[str, Any]:
    """One row as texts to be packed, or as ids whose text is wanted."""
    family, op, rows = row["family"], row["op"], chosen(row["batch"])
    sides = [["the re", "in", " a </s> b"][:rows], ["of", "", "the in an a"][:rows]]
    x: Any = sides[0][0] if row["input"] == "one" else sides[0]
    if row["input"] == "dictionary":
        x = dict(zip(("encoder_text", "decoder_text"), sides[: 1 + (row["prompts"] == "given")], strict=False))
    lengths = {"encoder_sequence_length": 6, "decoder_sequence_length": 5}
    keys = TRAIN if op == "preprocess" else [*ENCODER, *DECODER]
    asked = step(op, {"exact": keys}, x=x)
    name = f"preprocessing.seq2seq.{'shift' if op == 'preprocess' else 'prompt'}#drawn-{number:02}"
    preset = {"bart": "bart_tiny", "t5": "t5_tiny", "t5gemma": "t5gemma_tiny"}[family]
    capability = "t5gemma" if family == "t5gemma" else "core"
    return ask(name, f"Drawn: {shown(row)}.", "Packing", load(preset, **lengths), asked, capability=capability)


def shown(row: Row) -> str:
    """A row in words: `3 or more layers, source mask holes` and so on."""
    return ", ".join(_words(name, str(value)) for name, value in row.items() if name != "op")


COUNTED = {
    "num_layers": "layers",
    "num_heads": "heads",
    "source": "source tokens",
    "target": "target tokens",
    "batch": "rows",
}


def _words(name: str, value: str) -> str:
    """A dimension and its value: a number or a range of what is counted, or a kind."""
    found = re.fullmatch(r"(\d+)-(\d*)", value)
    number = value
    if found:
        least, most = found.groups()
        number = least if least == most else f"{least} to {most}" if most else f"{least} or more"
    return f"{number} {COUNTED[name]}" if name in COUNTED else f"{name.replace('_', ' ')} {number}"


def chosen(value: Any) -> int:
    """A number of a range: its smallest, or 5 of `2-32`."""
    return {"1-1": 1, "2-32": 5}.get(value) or int(str(value).partition("-")[0])
