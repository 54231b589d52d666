"""`refimpl inspect`: what is in a preset."""

import argparse

import numpy as np

from refimpl.models import Backbone, Seq2SeqLM
from refimpl.presets import open_preset
from refimpl.presets.folder import TOKENIZER_FILE
from refimpl.presets.shipped import DEFAULT, shipped_preset

HELP = "Show a preset: classes, configuration, parameters and a table of its weights."
EXAMPLES = """examples:
  refimpl inspect                           the shipped preset
  refimpl inspect path/to/preset
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's options."""
    parser.add_argument("preset", nargs="?", help=f"preset folder or handle (default: the shipped {DEFAULT})")


def run(arguments: argparse.Namespace) -> int:
    """Print classes, configuration and weights. Spec: cli.inspect"""
    folder = open_preset(arguments.preset or shipped_preset())
    backbone = Backbone.from_preset(folder)
    print(f"preset      {folder}")
    if folder.has(TOKENIZER_FILE):
        lm = Seq2SeqLM.from_preset(folder, backbone=backbone)
        print(f"task        {type(lm).__name__}")
        if lm.preprocessor is not None:
            _print_preprocessor(lm)
    print(f"backbone    {type(backbone).__name__}")
    for key in backbone.config_cls.names():
        print(f"  {key:<22}{getattr(backbone, key)}")
    print(f"parameters  {backbone.count_params():,} ({backbone.dtype})")
    _print_weights(backbone)
    return 0


def _print_preprocessor(lm: Seq2SeqLM) -> None:
    """The lines about tokenizer and preprocessor."""
    preprocessor = lm.preprocessor
    assert preprocessor is not None
    tokenizer = preprocessor.tokenizer
    print(f"tokenizer   {type(tokenizer).__name__}, {tokenizer.vocabulary_size()} tokens")
    print(f"preproc.    {type(preprocessor).__name__}")
    print(f"  {'encoder_sequence_length':<24}{preprocessor.encoder_sequence_length}")
    print(f"  {'decoder_sequence_length':<24}{preprocessor.decoder_sequence_length}")


def _print_weights(backbone: Backbone) -> None:
    """A row for each weight: name, shape, and how its values spread."""
    wide = max(map(len, backbone.params))
    print(f"{'weight':<{wide}}  {'shape':>16}  {'mean':>9}  {'std':>9}  {'min':>9}  {'max':>9}")
    for name, array in backbone.params.items():
        shape = "x".join(map(str, array.shape))
        values = array.astype(np.float64)
        spread = (values.mean(), values.std(), values.min(), values.max())
        print(f"{name:<{wide}}  {shape:>16}  " + "  ".join(f"{value:>9.4f}" for value in spread))
