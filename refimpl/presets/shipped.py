"""The presets that come with the project."""

import contextlib
from importlib import resources
from pathlib import Path

from refimpl.errors import PresetFileNotFoundError

DEFAULT = "bart_g2p_en"
PACKAGE = "refimpl.golden"  # where an installed wheel keeps what a checkout keeps in golden/


def shipped_preset(name: str = DEFAULT) -> Path:
    """The folder of a preset that comes with the project, in an installation as in a checkout.

    Raises: PresetFileNotFoundError if this installation lacks it.
    Spec: cli.default-preset
    """
    places = [Path(__file__).parents[2] / "golden"]
    with contextlib.suppress(ModuleNotFoundError):
        places.insert(0, Path(str(resources.files(PACKAGE))))
    for place in places:
        if (place / "presets" / name / "config.json").is_file():
            return place / "presets" / name
    raise PresetFileNotFoundError(
        f"The preset {name!r} is not in {' or '.join(map(str, places))}.",
        "It comes with the project.",
        "Install the project again, or pass --preset FOLDER.",
        "cli.default-preset",
    )
