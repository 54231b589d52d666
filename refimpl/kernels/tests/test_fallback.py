"""What the kernels do not know runs by the definition, and everything runs without them."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import refimpl
from refimpl.decoding.compiled import compiled_steps
from refimpl.kernels import records
from refimpl.kernels.eligibility import record_of
from refimpl.models import BartBackbone, BartSeq2SeqLM
from refimpl.models.activations import ACTIVATIONS
from refimpl.samplers import GreedySampler, Sampler
from refimpl.tests.tiny import adversarial, backbone, batch, seq2seq


def compiled_task(cls=BartSeq2SeqLM, backbone_cls=BartBackbone, sampler="greedy", **changes):
    sizes = backbone().get_config() | changes
    task = cls(adversarial(backbone_cls.from_config(sizes)), None)
    task.compile(sampler=sampler, jit_compile=True)
    return task


def inputs():
    found = batch(3, 6, 9)
    found["decoder_padding_mask"] = np.arange(9) < np.array([[2], [4], [3]])
    return found


def test_the_usual_model_is_compiled_and_others_are_not():
    assert record_of(compiled_task())
    assert not record_of(compiled_task(dtype="float64"))
    task = compiled_task()
    task.compile(sampler="greedy", jit_compile=False)
    assert not record_of(task)


def test_every_activation_has_its_twin():
    assert records.ACTIVATIONS.keys() == ACTIVATIONS.keys()


def test_auto_asks_for_the_size_of_the_model():
    task = compiled_task()
    task.compile(sampler="greedy")  # True
    assert record_of(task)
    task.compile(sampler="greedy", jit_compile="auto")
    assert not record_of(task)
    task.backbone.count_params = lambda: 10_000_000
    assert record_of(task)


def test_a_replaced_method_is_called():
    calls = []

    def counted(original):
        def method(self, *args, **kwargs):
            calls.append(original.__name__)
            return original(self, *args, **kwargs)

        return method

    expected = compiled_task().generate(inputs(), stop_token_ids=None)["decoder_token_ids"]
    for owner, name in (
        (BartSeq2SeqLM, "call_decoder_with_cache"),
        (BartSeq2SeqLM, "call_encoder"),
        (BartSeq2SeqLM, "generate_step"),
        (BartSeq2SeqLM, "_initialize_cache"),
        (BartSeq2SeqLM, "_encode"),
        (BartBackbone, "decode"),
        (BartBackbone, "decoder_layer"),
        (BartBackbone, "attend"),
        (BartBackbone, "head"),
        (BartBackbone, "logits"),
        (BartBackbone, "embed"),
        (BartBackbone, "cross_keys_values"),
        (BartBackbone, "encode"),
        (BartBackbone, "layers_of"),
    ):
        own = type(owner.__name__, (owner,), {name: counted(getattr(owner, name))})
        task = compiled_task(cls=own) if owner is BartSeq2SeqLM else compiled_task(backbone_cls=own)
        on_instance = compiled_task()
        holder = on_instance if owner is BartSeq2SeqLM else on_instance.backbone
        setattr(holder, name, counted(getattr(owner, name)).__get__(holder))
        for changed in (task, on_instance):
            calls.clear()
            assert (changed.generate(inputs(), stop_token_ids=None)["decoder_token_ids"] == expected).all()
            assert name in calls


def test_a_method_replaced_on_the_class_is_called(monkeypatch):
    task = compiled_task()
    sevens = np.eye(task.backbone.vocabulary_size)[7]
    monkeypatch.setattr(BartBackbone, "logits", lambda _, __, x: sevens + 0 * x[..., :1])
    assert (task.generate(inputs(), stop_token_ids=None)["decoder_token_ids"][:, 4:] == 7).all()


class Worst(Sampler):
    def get_next_token(self, probabilities):
        return probabilities.argmin(axis=-1)


class OwnLoop(GreedySampler):
    def __call__(self, next, prompt, cache, index, mask, stop_token_ids, hidden_states, model):
        assert cache[0].ndim == 6  # the definition's cache
        return super().__call__(next, prompt, cache, index, mask, stop_token_ids, hidden_states, model)


class Loud(GreedySampler):
    def compute_probabilities(self, logits):
        return super().compute_probabilities(-logits)


@pytest.mark.parametrize("sampler", [Worst(), OwnLoop(), Loud()])
def test_a_user_sampler_is_used(sampler):
    found = compiled_task(sampler=sampler).generate(inputs(), stop_token_ids=None)
    task = compiled_task()
    task.compile(sampler=sampler, jit_compile=False)
    assert (found["decoder_token_ids"] == task.generate(inputs(), stop_token_ids=None)["decoder_token_ids"]).all()


def test_a_method_on_the_sampler_is_used():
    sampler = GreedySampler()
    sampler.get_next_token = lambda probabilities: np.full(len(probabilities), 5)
    assert (
        compiled_task(sampler=sampler).generate(inputs(), stop_token_ids=None)["decoder_token_ids"][:, 4:] == 5
    ).all()


def test_changed_weights_are_used_at_once():
    task, other = compiled_task(), seq2seq(seed=3, preprocessor=False)
    task.generate(inputs(), stop_token_ids=None)
    task.backbone.set_weights(other.backbone.get_weights())
    found = task.generate(inputs(), stop_token_ids=None)["decoder_token_ids"]
    assert (found == other.generate(inputs(), stop_token_ids=None)["decoder_token_ids"]).all()
    task.backbone.params["token_embedding/embeddings"][:] *= -1  # in place
    other.backbone.params["token_embedding/embeddings"][:] *= -1
    found = task.generate(inputs(), stop_token_ids=None)["decoder_token_ids"]
    assert (found == other.generate(inputs(), stop_token_ids=None)["decoder_token_ids"]).all()


def test_weights_in_any_memory_order():
    task = compiled_task()
    expected = task.generate(inputs(), stop_token_ids=None)["decoder_token_ids"]
    task.backbone.params = {name: np.asfortranarray(w) for name, w in task.backbone.params.items()}
    assert (task.generate(inputs(), stop_token_ids=None)["decoder_token_ids"] == expected).all()


def test_errors_are_the_definitions():
    task = compiled_task(sampler=Worst())
    wide = batch(2, 6, 25)
    wide["decoder_padding_mask"] = np.broadcast_to(np.arange(25) < 2, (2, 25))
    with pytest.raises(refimpl.errors.SequenceLengthError, match="25 positions|20 positions"):
        task.generate(wide, stop_token_ids=None)
    task.sampler.get_next_token = lambda probabilities: np.full(len(probabilities), 10_000)
    with pytest.raises(IndexError):
        task.generate(inputs(), stop_token_ids=None)


def run(code, *path):
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": ":".join(map(str, path))}
    return subprocess.run(command, env=environment, cwd=path[0], capture_output=True, text=True, check=False)


# The finder of an editable install would find a room that was deleted.
GENERATE = """
import sys, numpy as np
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(getattr(finder, "__module__", ""))]
from refimpl.tests.tiny import seq2seq
lm = seq2seq()
lm.compile(sampler="greedy", jit_compile=True)
print(lm.generate(["a plane at air", "air"], max_length=9))
"""


@pytest.mark.slow
def test_without_kernels_only_speed_is_lost(tmp_path):
    """The package without this room gives the same text."""
    root = Path(refimpl.__file__).parent
    shutil.copytree(root, tmp_path / "refimpl", ignore=shutil.ignore_patterns("kernels", "__pycache__"))
    without = run(GENERATE + "assert 'llvmlite' not in sys.modules", tmp_path)
    with_kernels = run(GENERATE + "assert 'llvmlite' in sys.modules", root.parent)
    assert without.returncode == 0, without.stderr
    assert with_kernels.stdout == without.stdout != ""


def test_importing_needs_no_numba():
    code = (
        GENERATE.replace("True", "False") + "import refimpl.kernels.eligibility; assert 'llvmlite' not in sys.modules"
    )
    found = run(code, Path(refimpl.__file__).parents[1])
    assert found.returncode == 0, found.stderr


def test_compiled_steps_are_made_for_a_compiled_model():
    task = compiled_task()
    assert compiled_steps(task, task.backbone.checked(inputs()), 2) is not None
