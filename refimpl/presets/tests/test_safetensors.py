"""The header of a safetensors file is checked before it is believed."""

import json
import struct

import numpy as np
import pytest

from refimpl import errors
from refimpl.models import Backbone
from refimpl.presets.segments import Segment
from refimpl.presets.tests.folders import same, transformers_folder


def header(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(content, body):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + body


BIAS = "model.encoder.layers.0.fc1.bias"


@pytest.mark.parametrize(
    "change",
    [
        lambda *_: b"",
        lambda *_: b"\0" * 7,
        lambda _, b: struct.pack("<Q", 2**63) + b,
        lambda _, b: struct.pack("<Q", 10**8) + b,
        lambda _, b: with_header(b"[]", b),
        lambda _, b: with_header(b"{", b),
        lambda _, b: with_header(b"[" * 10**6, b),
        lambda h, b: with_header(h, b[:-1]),
        lambda h, b: with_header(h, b + b"\0"),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"data_offsets": [0, 80]}}, b),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"data_offsets": [2**62, 2**62 + 80]}}, b),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"data_offsets": [-80, 0]}}, b),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"data_offsets": [80]}}, b),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"shape": [2**40, 2**40]}}, b),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"shape": [True] * 20}}, b),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"shape": [10, 2]}}, b),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"dtype": "I32"}}, b),
        lambda h, b: with_header(h | {BIAS: h[BIAS] | {"dtype": ["F32"]}}, b),
        lambda h, b: with_header(h | {BIAS: None}, b),
        lambda h, b: with_header((json.dumps(h)[:-1] + f', "{BIAS}": ' + json.dumps(h[BIAS]) + "}").encode(), b),
    ],
)
def test_safetensors_headers(tmp_path, change):
    path = transformers_folder(tmp_path / "t") / "model.safetensors"
    path.write_bytes(change(*header(path.read_bytes())))
    with pytest.raises(errors.PresetError) as caught:
        Backbone.from_preset(tmp_path / "t")
    assert not isinstance(caught.value, errors.PresetJSONError)


def test_unaligned_safetensors(tmp_path):
    """Older writers did not fill the header up to eight bytes; NumPy can't compute well where numbers are misplaced."""
    path = transformers_folder(tmp_path / "t") / "model.safetensors"
    content, body = header(path.read_bytes())
    for pad in range(4):
        path.write_bytes(with_header(json.dumps(content).encode() + b" " * pad, body))
        loaded = Backbone.from_preset(tmp_path / "t").params
        assert same(loaded)
        assert all(a.flags.aligned and np.may_share_memory(a.ravel("K"), a) for a in loaded.values())


@pytest.mark.parametrize(("offset", "count"), [(0, 11), (4, 10), (-4, 1)])
def test_a_segment_never_lies_outside_its_file(offset, count, tmp_path):
    """The last guard before memory is mapped, whatever a reader of a format took from a header."""
    path = tmp_path / "numbers"
    path.write_bytes(bytes(40))
    assert Segment(path, 0, "float32", (10,)).check()
    with pytest.raises(errors.UnsafePresetError, match="inside-file"):
        Segment(path, offset, "float32", (count,)).check()
