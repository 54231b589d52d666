"""One engine as a process: reads a request a line, answers a line. Each imports its own library only.

Requests: {"batch": B, "beams": K} -> {"seconds": t, "tokens": [[...]]}. All get the same source of 64 tokens, start
from `</s> <s>` and generate 64 tokens without stopping early.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SOURCE, NEW = 64, 64
Run = Callable[[np.ndarray, int], Any]


def words() -> list[str]:
    """The vocabulary of the made-up model."""
    return ["<s>", "<pad>", "</s>", "<unk>", "w", "1"] + [f"w{n}" for n in range(1, 50258 + 1)] + ["<mask>"]


def sources(batch: int) -> np.ndarray:
    ids = np.random.default_rng(7).integers(4, 50264, (64, SOURCE))
    ids[:, 0], ids[:, -1] = 0, 2
    return ids[:batch]


def inputs(ids: np.ndarray) -> dict[str, np.ndarray]:
    rows = len(ids)
    prompt = np.ones((rows, NEW + 2), np.int32)
    prompt[:, :2] = 2, 0
    return {
        "encoder_token_ids": ids.astype(np.int32),
        "encoder_padding_mask": np.ones(ids.shape, bool),
        "decoder_token_ids": prompt,
        "decoder_padding_mask": np.tile(np.arange(NEW + 2) < 2, (rows, 1)),
    }


def refimpl(folder: Path, kernels: bool = True) -> Run:
    import refimpl

    task = refimpl.models.BartSeq2SeqLM.from_preset(str(folder / "preset"), preprocessor=None)

    def run(ids: np.ndarray, beams: int) -> np.ndarray:
        sampler = refimpl.samplers.BeamSampler(num_beams=beams) if beams > 1 else "greedy"
        task.compile(sampler=sampler, jit_compile=kernels)
        return task.generate(inputs(ids), stop_token_ids=None)["decoder_token_ids"][:, 2:]

    return run


def keras_hub(folder: Path) -> Run:
    import keras_hub

    task = keras_hub.models.BartSeq2SeqLM.from_preset(str(folder / "preset"), preprocessor=None)
    compiled = []

    def run(ids: np.ndarray, beams: int) -> np.ndarray:
        if compiled != [beams]:  # compiling anew traces anew
            task.compile(sampler=keras_hub.samplers.BeamSampler(num_beams=beams) if beams > 1 else "greedy")
            compiled[:] = [beams]
        return np.asarray(task.generate(inputs(ids), stop_token_ids=None)["decoder_token_ids"])[:, 2:]

    return run


def transformers(folder: Path) -> Run:
    import torch
    from transformers import BartForConditionalGeneration

    model = BartForConditionalGeneration.from_pretrained(folder / "transformers", dtype=torch.float32).eval()
    settings = model.generation_config
    settings.eos_token_id, settings.forced_bos_token_id, settings.forced_eos_token_id = None, None, None

    def run(ids: np.ndarray, beams: int) -> np.ndarray:
        with torch.inference_mode():
            out = model.generate(
                input_ids=torch.tensor(ids),
                attention_mask=torch.ones(ids.shape, dtype=torch.long),
                decoder_input_ids=torch.tensor([[2, 0]] * len(ids)),
                min_new_tokens=NEW,
                max_new_tokens=NEW,
                max_length=None,
                num_beams=beams,
                do_sample=False,
                early_stopping=False,
            )
        return out.numpy()[:, 2:]

    return run


def ctranslate2(folder: Path, kind: str) -> Run:
    import ctranslate2

    model = ctranslate2.Translator(
        str(folder / f"ct2-{kind}"), compute_type=kind, intra_threads=int(os.environ["OMP_NUM_THREADS"])
    )
    vocabulary = words()
    numbers = {word: n for n, word in enumerate(vocabulary)}

    def run(ids: np.ndarray, beams: int) -> np.ndarray:
        found = model.translate_batch(
            [[vocabulary[i] for i in row] for row in ids],
            target_prefix=[["<s>"]] * len(ids),
            beam_size=beams,
            length_penalty=0,
            min_decoding_length=NEW + 1,
            max_decoding_length=NEW + 1,
            max_input_length=0,
        )
        return np.array([[numbers[word] for word in row.hypotheses[0]] for row in found])[:, 1:]

    return run


ENGINES: dict[str, Callable[[Path], Run]] = {
    "refimpl": refimpl,
    "refimpl-definition": lambda folder: refimpl(folder, kernels=False),
    "ctranslate2-float32": lambda folder: ctranslate2(folder, "float32"),
    "ctranslate2-int8": lambda folder: ctranslate2(folder, "int8"),
    "transformers": transformers,
    "keras_hub": keras_hub,
}


def main() -> None:
    run = ENGINES[sys.argv[1]](Path(sys.argv[2]))
    answer = sys.stdout
    sys.stdout = sys.stderr
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"loaded_kb": loaded}), file=answer, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        ids = sources(request["batch"])
        cpu, start = time.process_time(), time.perf_counter()
        tokens = run(ids, request["beams"])
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = {"seconds": seconds, "cpu": cpu, "tokens": np.asarray(tokens).tolist(), "peak_kb": peak}
        print(json.dumps(found), file=answer, flush=True)


if __name__ == "__main__":
    main()
