"""`refimpl lessons`: the notebooks, in a folder of the reader's own."""

import argparse
import sys
from pathlib import Path

from refimpl.lessons import NOTEBOOKS

HELP = "Copy the six lessons (notebooks on how such a model works) to a folder of your own."
EXAMPLES = """examples:
  refimpl lessons                 to the folder lessons
  refimpl lessons ~/seq2seq       to another one
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's options."""
    parser.add_argument("folder", nargs="?", default="lessons", help="where they go (default: lessons)")
    parser.add_argument("--replace", action="store_true", help="also write over notebooks that you have changed or run")


def run(arguments: argparse.Namespace) -> int:
    """Copy what is not there; keep what the reader has changed, and say so. Spec: cli.lessons"""
    folder = Path(arguments.folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in NOTEBOOKS:
        mine, fresh = folder / notebook.name, notebook.read_bytes()
        changed = mine.exists() and mine.read_bytes() != fresh
        if changed and not arguments.replace:
            print(f"kept     {mine}: yours differs from the lesson; --replace writes over it")
            continue
        print(f"{'replaced' if changed else 'copied  '} {mine}")
        mine.write_bytes(fresh)
    print(
        "\nTo open them:\n"
        f'  "{sys.executable}" -m pip install jupyterlab matplotlib\n'
        f'  "{sys.executable}" -m jupyter lab "{folder}"\n'
        f"or open the folder in an editor that runs notebooks. Begin with {NOTEBOOKS[0].name}."
    )
    return 0
