"""One engine as a process: reads a line, answers a line. Each imports its own library only.

A line is a case's name and how many new tokens. Answers: seconds, tokens; for the case "growth" also the seconds of an
early and a late token. The first line says which versions were loaded.
"""

import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benches.decode.work import CASES, EARLY, LATE, MODELS, Case, cut, inputs, padded, sources
from benches.side import answers, say, versions

Rows = list[list[int]]
Tick = Callable[[], None]
Run = Callable[[Rows, Case, Tick], Rows]


def refimpl(folder: Path, model: str, kernels: bool = True) -> Run:
    import refimpl
    from refimpl.decoding.stream import stream_step

    task = refimpl.models.Seq2SeqLM.from_preset(str(folder / model / "preset"), preprocessor=None)

    def run(rows: Rows, case: Case, tick: Tick) -> Rows:
        sampler = refimpl.samplers.BeamSampler(num_beams=case.beams) if case.beams > 1 else "greedy"
        task.compile(sampler=sampler, jit_compile=kernels)
        if case.grows:
            for so_far in stream_step(task, inputs(rows, case), None):
                found = so_far
                tick()
        else:
            found = task.generate(inputs(rows, case), stop_token_ids=(case.model.end,) if case.stop else None)
        return cut(found["decoder_token_ids"][:, len(case.model.prompt) :], case)

    return run


def keras_hub(folder: Path, model: str) -> Run:
    import keras_hub
    import numpy as np

    task = keras_hub.models.Seq2SeqLM.from_preset(str(folder / model / "preset"), preprocessor=None)
    compiled = []

    def run(rows: Rows, case: Case, _: Tick) -> Rows:
        if compiled != [case]:  # compiling anew traces anew
            task.compile(sampler=keras_hub.samplers.BeamSampler(num_beams=case.beams) if case.beams > 1 else "greedy")
            compiled[:] = [case]
        batch = inputs(rows, case, width=32, count=case.rows)  # one shape, or each would be traced
        found = task.generate(batch, stop_token_ids=[case.model.end] if case.stop else None)
        return cut(np.asarray(found["decoder_token_ids"])[: len(rows), len(case.model.prompt) :], case)

    return run


def transformers(folder: Path, model: str) -> Run:
    import torch
    from transformers import AutoModelForSeq2SeqLM

    lm = AutoModelForSeq2SeqLM.from_pretrained(folder / model / "transformers", dtype=torch.float32).eval()
    settings = lm.generation_config
    settings.forced_bos_token_id, settings.forced_eos_token_id = None, None

    def run(rows: Rows, case: Case, tick: Tick) -> Rows:
        def seen(_: Any, scores: Any) -> Any:
            tick()
            return scores

        ids, mask = padded(rows, case.model.padding)
        settings.eos_token_id = case.model.end if case.stop else None
        with torch.inference_mode():
            out = lm.generate(
                input_ids=torch.tensor(ids).long(),
                attention_mask=torch.tensor(mask).long(),
                decoder_input_ids=torch.tensor([list(case.model.prompt)] * len(rows)),
                min_new_tokens=None if case.stop else case.new,
                max_new_tokens=case.new,
                max_length=None,
                num_beams=case.beams,
                do_sample=False,
                early_stopping=False,
                logits_processor=[seen],
            )
        return cut(out.numpy()[:, len(case.model.prompt) :], case)

    return run


def ctranslate2(folder: Path, model: str, kind: str) -> Run:
    import ctranslate2

    translator = ctranslate2.Translator(
        str(folder / model / f"ct2-{kind}"), compute_type=kind, intra_threads=int(os.environ["OMP_NUM_THREADS"])
    )
    names = json.loads((folder / model / f"ct2-{kind}" / "shared_vocabulary.json").read_text())
    numbers = {word: n for n, word in enumerate(names)}
    prompt = [names[n] for n in MODELS[model].prompt[1:]]  # it begins with the first by itself

    def run(rows: Rows, case: Case, tick: Tick) -> Rows:
        def seen(_: Any) -> bool:
            tick()
            return False

        found = translator.translate_batch(
            [[names[i] for i in row] for row in rows],
            target_prefix=[prompt] * len(rows),
            beam_size=case.beams,
            length_penalty=0,
            min_decoding_length=1 if case.stop else case.new + len(prompt),
            max_decoding_length=case.new + len(prompt),
            max_input_length=0,
            max_batch_size=case.rows,
            callback=seen if case.grows else None,
        )
        return cut([[numbers[word] for word in row.hypotheses[0]][len(prompt) :] for row in found], case)

    return run


def engine(name: str, folder: Path, model: str) -> Run:
    """The engine with that name, which may end in a kind, a backend or `-sorted`."""
    library, kind = [*name.removesuffix("-sorted").split("-"), ""][:2]
    if library == "ctranslate2":
        return ctranslate2(folder, model, kind)
    if library == "refimpl":
        return refimpl(folder, model, kernels=kind != "definition")
    return {"keras_hub": keras_hub, "transformers": transformers}[library](folder, model)


def timed(run: Run, case: Case, rows: Rows, at_once: int) -> dict[str, Any]:
    """Run a case: time and tokens."""
    ticks: list[float] = []
    tokens: Rows = []
    start = time.perf_counter()
    for first in range(0, len(rows), at_once):
        tokens += run(rows[first : first + at_once], case, lambda: ticks.append(time.perf_counter()))
    found = {"seconds": time.perf_counter() - start, "tokens": tokens}
    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    if case.grows:
        found |= {"early": statistics.median(gaps[EARLY]), "late": statistics.median(gaps[LATE])}
    return found


def main() -> None:
    """Arguments: engine, folder, model."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    stream = answers()
    run = engine(name, folder, sys.argv[3])
    say(versions(), stream)
    for line in sys.stdin:
        case_name, new = json.loads(line)
        case = replace(CASES[case_name], new=new)
        rows = sources(case, folder)
        say(timed(run, case, rows, len(rows) if name.endswith("-sorted") else case.rows), stream)


if __name__ == "__main__":
    main()
