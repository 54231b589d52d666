"""`refimpl fit`: fine-tune a preset on pairs of texts, or of recordings and texts, and go on after a stop."""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from refimpl import random
from refimpl.autograd.blas_threads import spare_threads
from refimpl.errors import CheckpointError, ConfigError, SavingError
from refimpl.models import Seq2SeqLM
from refimpl.presets.folder import CONFIG_FILE, STAGED, PresetFolder
from refimpl.presets.shipped import DEFAULT, shipped_preset
from refimpl.training.callbacks import CSVLogger, EarlyStopping, Interruption, ModelCheckpoint
from refimpl.training.curve import draw_learning_curve
from refimpl.training.grouping import LengthGroups
from refimpl.training.optimizers import SGD, Adam, AdamW, Optimizer, schedules
from refimpl.training.rows import read_pairs, with_recordings

HELP = "Fine-tune a preset on pairs of texts, or of recordings and texts."
EXAMPLES = """examples:
  refimpl fit --data pairs.tsv --out tuned
  refimpl fit --data pairs.jsonl --columns question,answer --preset FOLDER --out tuned --epochs 20 --patience 3
  refimpl fit --data pairs.tsv --out tuned --epochs 40 --resume
  refimpl fit --data words.tsv --out new --from-scratch --optimizer adamw --learning-rate 2e-3 --cosine
pairs.tsv has a first line "encoder_text<TAB>decoder_text"; for a model of speech "audio<TAB>text", where audio is the
path of a WAV file, from the table's folder. The folder tuned/ becomes a preset with the weights of the
best epoch; beside it tuned/last goes on with --resume, tuned/log.csv and tuned/learning_curve.png hold the scores.
"""
Columns = dict[str, list[Any]]
OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}


def _whole(text: str) -> int:
    """A whole number above 0. Spec: training.command.numbers"""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0 [training.command.numbers]")
    return int(text)


def _path(text: str) -> Path:
    """A path; the shell leaves a `~` after `--out=` to us. Spec: presets.identifier.home"""
    return Path(os.path.expanduser(text))  # noqa: PTH111  (a user who is not known is no error)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's options."""
    add = parser.add_argument
    add("--data", type=_path, required=True, metavar="FILE", help="pairs of texts: .tsv, .csv, .jsonl or .json")
    add("--out", type=_path, required=True, metavar="FOLDER", help="where the tuned preset goes")
    add("--preset", help=f"preset folder or handle to start from (default: the shipped {DEFAULT})")
    add("--columns", metavar="INPUT,OUTPUT", help="names of the two columns (default: encoder_text,decoder_text)")
    add("--validation-data", type=_path, metavar="FILE", help="pairs to judge each epoch by")
    add("--validation-split", type=float, default=0.1, metavar="SHARE", help="else this share of --data (default: 0.1)")
    add("--epochs", type=_whole, default=10, metavar="N", help="epochs in all (default: 10)")
    add("--batch-size", type=_whole, default=32, metavar="N", help="pairs a step (default: 32)")
    add("--group-by-length", action="store_true", help="put rows of like lengths into a batch: less padding, faster")
    add("--from-scratch", action="store_true", help="take the preset's configuration and vocabulary with new weights")
    add("--optimizer", choices=sorted(OPTIMIZERS), default="adam", help="default: adam")
    add("--learning-rate", type=float, default=2e-5, metavar="RATE", help="default: 2e-5")
    add("--warmup-steps", type=int, default=0, metavar="N", help="steps until the learning rate is reached")
    add("--cosine", action="store_true", help="let the learning rate fall to 0 along a cosine")
    add("--weight-decay", type=float, metavar="RATE", help="of kernels and embeddings (default: 0.004 with adamw)")
    add("--clipnorm", type=float, metavar="NORM", help="limit of the norm of all gradients together")
    add("--patience", type=_whole, metavar="N", help="stop when N epochs brought nothing better")
    add("--seed", type=int, default=0, metavar="N", help="of order, split, dropout and new weights (default: 0)")
    add("--encoder-length", type=_whole, metavar="N", help="cut input texts to N tokens")
    add("--decoder-length", type=_whole, metavar="N", help="cut outputs to N tokens")
    add("--skip-bad", action="store_true", help="leave out rows that can't be read, and say how many")
    add("--resume", action="store_true", help="go on from the last finished epoch in --out")


def run(arguments: argparse.Namespace) -> int:
    """Train, and save the best epoch.

    Spec: training.command.output, training.command.resume, training.command.from-scratch
    """
    random.set_random_seed(arguments.seed)
    last, log = arguments.out / "last", arguments.out / "log.csv"
    there = PresetFolder(last).has(CONFIG_FILE)
    if there != arguments.resume:
        raise CheckpointError(
            f"A checkpoint in {last} {'is there' if there else 'is not there'}.",
            "A new run needs an empty folder, --resume the folder of an earlier run.",
            "Pass --resume to go on, or another --out.",
            "training.command.resume",
        )
    source = last if arguments.resume else arguments.preset or shipped_preset()
    lm = Seq2SeqLM.from_preset(source, load_weights=arguments.resume or not arguments.from_scratch)
    _set_lengths(lm, arguments)
    training, validation = _data(arguments, lm.preprocessor)
    steps = -(-len(next(iter(training.values()))) // arguments.batch_size)
    lm.compile(_optimizer(arguments, steps), weighted_metrics=["accuracy", "perplexity"])
    epoch = lm.load_checkpoint(last).get("epoch") if arguments.resume else 0
    if epoch is None:
        raise CheckpointError(
            f"The checkpoint in {last} names no epoch.",
            "refimpl fit must have made it.",
            "Pass another --out.",
            "training.checkpoint.damaged",
        )
    monitor = "val_loss" if validation else "loss"
    _check_writable(arguments.out)
    earlier = _scores_so_far(log, monitor, epoch) if arguments.resume else []
    with spare_threads(lm.count_params()), Interruption() as interruption:
        lm.fit(
            _grouped(lm, training, arguments.batch_size) if arguments.group_by_length else training,
            batch_size=arguments.batch_size,
            epochs=arguments.epochs,
            initial_epoch=epoch,
            validation_data=validation,
            callbacks=[*_callbacks(arguments, monitor, earlier), interruption],
        )
    _save_best(lm, arguments.out)
    print(f"saved {arguments.out}")
    if problem := draw_learning_curve(log, arguments.out / "learning_curve.png"):
        print(f"refimpl: no learning curve: {problem}", file=sys.stderr)
    return 0


def _check_writable(out: Path) -> None:
    """Make the folder and a file in it now, not when an hour of training is done."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise SavingError(
            f"--out {out} can't be written: {error.strerror}.",
            "It must be a folder, or a path where one can be made, with room for the preset.",
            "Pass another --out.",
            "training.command.output",
        ) from error


def _data(arguments: argparse.Namespace, preprocessor: Any) -> tuple[Columns, Columns | None]:
    """Training and validation pairs. What is split off is drawn by the seed, so that --resume splits off the same."""
    keys = (preprocessor.source_key, preprocessor.target_key)
    columns = keys if arguments.columns is None else tuple(arguments.columns.split(","))
    if len(columns) != 2 or not all(columns):
        raise ConfigError(
            f"--columns {arguments.columns} was passed.",
            "It must be two names with a comma between them.",
            "Pass for example --columns question,answer.",
            "training.command.columns",
        )
    pairs = _read(arguments.data, columns, arguments.skip_bad, preprocessor)
    if arguments.validation_data:
        return pairs, _read(arguments.validation_data, columns, arguments.skip_bad, preprocessor)
    rows = len(pairs[keys[0]])
    cut = rows - int(rows * arguments.validation_split)
    if not 0 < cut <= rows:
        raise ConfigError(
            f"--validation-split {arguments.validation_split} was passed for {rows} pairs.",
            "It must be at least 0 and below 1.",
            "Leave it out for 0.1.",
            "training.data.validation-split",
        )
    order = np.random.default_rng(arguments.seed).permutation(rows)
    first, second = ({k: [v[n] for n in part] for k, v in pairs.items()} for part in (order[:cut], order[cut:]))
    return first, second if cut < rows else None


def _read(path: Path, columns: tuple[str, str], skip_bad: bool, preprocessor: Any) -> Columns:
    """The columns of a table. Recordings are read into memory. Spec: training.command.audio"""
    sources: list[Any]
    sources, targets, bad = read_pairs(path, columns, skip_bad)
    rows = bad + len(sources)
    if converter := getattr(preprocessor, "audio_converter", None):
        sources, targets = with_recordings(sources, targets, path.parent, converter.sampling_rate, skip_bad)
    if rows > len(sources):
        print(f"refimpl: left out {rows - len(sources)} of {rows} rows of {path}", file=sys.stderr)
    return {preprocessor.source_key: sources, preprocessor.target_key: targets}


def _set_lengths(lm: Seq2SeqLM, arguments: argparse.Namespace) -> None:
    if lm.preprocessor is None:
        raise ConfigError(
            f"The preset {arguments.preset} has no preprocessor.",
            "Texts must become tokens.",
            "Use a preset with tokenizer.json and its assets.",
            "training.command.rows",
        )
    if arguments.encoder_length and hasattr(lm.preprocessor, "audio_converter"):
        raise ConfigError(
            f"--encoder-length {arguments.encoder_length} was passed for a {type(lm).__name__}.",
            "A recording is taken whole: its end would be lost, and the text say what is not heard.",
            "Leave it out, and cut long recordings at pauses.",
            "training.command.audio",
        )
    for side in ("encoder", "decoder"):
        if length := getattr(arguments, f"{side}_length"):
            setattr(lm.preprocessor, f"{side}_sequence_length", length)


def _grouped(lm: Seq2SeqLM, columns: Columns, batch_size: int) -> LengthGroups:
    """Batches of rows with like numbers of tokens, or samples, in an order that a resumed run draws again."""
    assert lm.preprocessor is not None
    tokenizer = lm.preprocessor.tokenizer
    lengths = [[*map(len, tokenizer(c) if isinstance(c[0], str) else c)] for c in columns.values()]
    return LengthGroups(columns, lengths, batch_size, lambda: (lm.seed, lm.optimizer.iterations))


def _optimizer(arguments: argparse.Namespace, steps: int) -> Optimizer:
    """The optimizer, with its learning rate over all epochs."""
    peak, warmup = arguments.learning_rate, arguments.warmup_steps
    rate: Any = peak
    if arguments.cosine:
        left = max(1, steps * arguments.epochs - warmup)
        start = 0.0 if warmup else peak
        rate = schedules.CosineDecay(start, left, warmup_target=peak if warmup else None, warmup_steps=warmup)
    elif warmup:
        rate = schedules.Constant(peak, warmup)
    decay = {} if arguments.weight_decay is None else {"weight_decay": arguments.weight_decay}
    optimizer = OPTIMIZERS[arguments.optimizer](rate, global_clipnorm=arguments.clipnorm, **decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _callbacks(arguments: argparse.Namespace, monitor: str, earlier: list[float]) -> list[Any]:
    """Log, checkpoints of the last and the best epoch, and early stopping; `earlier` are a resumed run's scores.

    Spec: training.command.resume
    """
    best = min(earlier, default=None)
    hooks: list[Any] = [
        CSVLogger(arguments.out / "log.csv", append=arguments.resume),
        ModelCheckpoint(
            arguments.out / "best", monitor, save_best_only=True, save_weights_only=True, initial_value_threshold=best
        ),
        ModelCheckpoint(arguments.out / "last"),
    ]
    if arguments.patience is not None:
        stopping = EarlyStopping(monitor, patience=arguments.patience, verbose=1)
        stopping.earlier = earlier
        hooks.append(stopping)
    return hooks


def _scores_so_far(log: Path, monitor: str, epochs: int) -> list[float]:
    """The score of each finished epoch of earlier runs. One that was logged and not saved is trained again, so its
    line goes.

    Raises: CheckpointError.
    Spec: training.command.resume, training.checkpoint.damaged
    """
    if not log.exists():
        return []
    try:
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        rows = list(csv.DictReader(lines))
        kept = [row for row in rows if int(row["epoch"]) < epochs]
        scores = [float(row[monitor]) for row in kept if row[monitor] not in (None, "", "NA")]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise CheckpointError(
            f"{log} can't be read: {error!r:.200}.",
            f"It must hold a line for each epoch, with its number and {monitor}.",
            "Remove it to go on without the scores of earlier epochs.",
            "training.checkpoint.damaged",
        ) from error
    if len(kept) < len(rows):
        shorter = log.with_name(f".{log.name}")
        shorter.write_text("".join(lines[: 1 + len(kept)]), encoding="utf-8")
        shorter.replace(log)
    return scores


def _save_best(lm: Seq2SeqLM, out: Path) -> None:
    """Make `out` the preset of the best epoch. If a resumed run found nothing better, `out` already is.

    Raises: CheckpointError if there is none.
    Spec: training.command.output
    """
    best = out / "best"
    if PresetFolder(best).has(CONFIG_FILE):
        lm.set_weights(type(lm).from_preset(best).get_weights())
        lm.save_to_preset(out)
        shutil.rmtree(best.rename(out / f"{STAGED}best"))  # under a name that is no preset's, if this is broken off
    elif not PresetFolder(out).has(CONFIG_FILE):
        raise CheckpointError(
            f"{best} is not there, and {out} holds no preset.",
            "The best epoch must be in one of them.",
            "Copy the preset in last/ to take the last epoch instead.",
            "training.command.output",
        )
