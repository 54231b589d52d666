"""The implementations of the matrix, and how each is asked."""

import shlex
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Subject:
    """One column. `needs` is the Python module without which it can't be asked; `command` is for other languages, and
    for libraries that want an environment of their own: its interpreter is the first word.
    """

    slug: str
    label: str
    backend: str = ""
    needs: str = ""
    env: dict[str, str] = field(default_factory=dict)
    profile: str = "float32"
    command: str = ""

    def words(self, python: str = "") -> list[str]:
        """What stands behind `python -m conformance run`; `python` is the interpreter that has the module."""
        program = self.command
        if self.needs and python and program:
            program = shlex.join([python, *shlex.split(program)[1:]])
        how = ["--command", program] if program else ["--backend", self.backend]
        how += ["--expected", f"conformance/adapters/expected/{self.slug}.json"] if self.command else []
        return how + (["--profile", self.profile] if self.profile != "float32" else [])

    @property
    def line(self) -> str:
        """The line to be typed at the top of the repository."""
        set_first = "".join(f"{name}={value} " for name, value in self.env.items())
        quoted = [f"'{word}'" if " " in word else word for word in self.words()]
        return f"{set_first}python -m conformance run {' '.join(quoted)}"


def _keras(backend: str) -> dict[str, str]:
    return {"KERAS_BACKEND": backend}


SUBJECTS = (
    Subject("refimpl", "refimpl", "refimpl", "refimpl"),
    Subject("refimpl-definition", "refimpl, plain NumPy", "refimpl-definition", "refimpl"),
    Subject("keras-hub-jax", "KerasHub on JAX", "keras_hub", "keras_hub", _keras("jax")),
    Subject("keras-hub-torch", "KerasHub on PyTorch", "keras_hub", "keras_hub", _keras("torch")),
    Subject("keras-hub-tensorflow", "KerasHub on TensorFlow", "keras_hub", "keras_hub", _keras("tensorflow")),
    Subject("transformers", "transformers", "transformers", "transformers"),
    Subject("transformers-eager", "transformers, eager attention", "transformers-eager", "transformers"),
    Subject("ctranslate2", "CTranslate2", "ctranslate2", "ctranslate2"),
    Subject(  # without MKL int8 depends on the processor: finding ctranslate2-int8-processor
        "ctranslate2-int8", "CTranslate2, int8", "ctranslate2-int8", "ctranslate2", {"CT2_USE_MKL": "1"}, "int8"
    ),
    Subject("onnxruntime", "ONNX Runtime", "onnxruntime", "onnxruntime"),
    Subject("mlx", "BART and T5 in MLX", "mlx", "mlx"),
    Subject(
        "transformers-flax",
        "BART and T5 in Flax",
        needs="flax",
        command=".venv-flax/bin/python conformance/adapters/programs/flax_program.py",
    ),
    Subject(
        "torchtext",
        "T5 in torchtext",
        needs="torchtext",
        command=".venv-torchtext/bin/python conformance/adapters/programs/torchtext_program.py",
    ),
    Subject("transformers-js", "transformers.js", command="node conformance/adapters/transformers_js.mjs"),
)
