"""The presets that come with the project."""

from pathlib import Path

from refimpl.errors import PresetFileNotFoundError

DEFAULT = "bart_g2p_en"


def shipped_preset(name: str = DEFAULT) -> Path:
    """The folder of a preset that comes with the project, in an installation as in a checkout.

    Raises: PresetFileNotFoundError if this installation lacks it.
    Spec: cli.default-preset
    """
    package = Path(__file__).parents[1]
    places = [package / "golden", package.parent / "golden"]  # a wheel carries golden/ inside the package
    for place in places:
        if (place / "presets" / name / "config.json").is_file():
            return place / "presets" / name
    raise PresetFileNotFoundError(
        f"The preset {name!r} is not in {' or '.join(map(str, places))}.",
        "It comes with the project.",
        "Install the project again, or pass --preset FOLDER.",
        "cli.default-preset",
    )
