"""Six lessons, notebooks to read on a page or to run: `refimpl lessons` copies them to a folder of the reader's."""

from pathlib import Path

NOTEBOOKS = sorted(Path(__file__).parent.glob("*.ipynb"))
