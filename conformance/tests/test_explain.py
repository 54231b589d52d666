"""What `explain` shows is what the suite's trace sees in the same pass."""

import numpy as np

from conformance.adapters.refimpl_trace import recording
from conformance.suite.probes import Recorder
from refimpl.autograd.attention import attention_mix
from refimpl.models import Seq2SeqLM
from refimpl.models.attention import project
from refimpl.presets.shipped import shipped_preset


def test_weights_and_values_give_the_attention_of_the_trace():
    lm = Seq2SeqLM.from_preset(shipped_preset())
    lm.compile(sampler="greedy")
    recorder = Recorder()
    with recording(recorder):
        found = lm.explain("elephant")
    read = len(found.target) - 1

    def tensor(name):
        """One row a token: the first pass reads the prompt, whose last token the next pass reads again."""
        first, *rest = recorder.parts[name]
        return np.concatenate([first[:, : found.prompt - 1] if rest else first, *rest], axis=1)

    model = lm.backbone
    for side, kind, weights in (
        ("encoder", "self_attention", found.attention.encoder),
        ("decoder", "self_attention", found.attention.decoder),
        ("decoder", "cross_attention", found.attention.cross),
    ):
        for n, layer in enumerate(model.layers_of(model.scope, side)):
            before = f"{side}.layer.{n - 1}.feed_forward_norm" if n else f"{side}.embed_norm"
            if kind == "cross_attention":
                before = f"encoder.layer.{model.depth('encoder') - 1}.feed_forward_norm"
            value = model.attention.keys_values(tensor(before), layer[kind])[1]
            mixed = attention_mix(weights[n][None], value)
            output = layer[kind][model.attention.names[3]]
            wanted = tensor(f"{side}.layer.{n}.{kind}")
            if len(output.kernel.shape) == 2:
                mixed = mixed.reshape(*mixed.shape[:2], -1)
            np.testing.assert_allclose(project(mixed, output), wanted, atol=2e-5)
            assert wanted.shape[1] == (len(found.source) if side == "encoder" else read)
