"""The base class that KerasHub's tests derive from, for models that are no Keras objects.

It asks what KerasHub's `tests/test_case.py` asks, in its order. Left out, as they ask for Keras's own machinery:
`keras.saving` (the configuration's round trip is asked), `build` and symbolic calls, `_inputs_struct`, a single layer
that is called, `predict` of a backbone (a task's is asked), automatic names, policies of mixed precision, `quantize`,
`.keras` archives (a preset's round trip is asked instead), Grain.
"""

import json
import tempfile
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops, tree


def comparable(x: Any) -> Any:
    """Tensors of all libraries as arrays, texts as texts."""
    if isinstance(x, tf.RaggedTensor):
        x = x.to_list()
    if isinstance(x, tf.Tensor):
        x = x.numpy()
    if isinstance(x, np.ndarray) and x.dtype == object:
        x = x.tolist()
    if isinstance(x, list):
        return [comparable(item) for item in x]
    if isinstance(x, bytes):
        return x.decode()
    return ops.convert_to_numpy(x) if hasattr(x, "__array__") else x


class TestCase(tf.test.TestCase):
    """Stands for `keras_hub.src.tests.test_case.TestCase`."""

    test_data = ""

    def get_test_data_dir(self) -> str:
        """The checkout's folder of vocabularies."""
        return self.test_data

    def assertAllClose(self, x1: Any, x2: Any, atol: float = 1e-6, rtol: float = 1e-6, msg: Any = None) -> None:  # noqa: N802
        """As TensorFlow's, for tensors of any library."""
        super().assertAllClose(*(tree.map_structure(comparable, x) for x in (x1, x2)), rtol, atol, msg)

    def assertAllEqual(self, x1: Any, x2: Any, msg: Any = None) -> None:  # noqa: N802
        """As TensorFlow's, for tensors of any library."""
        super().assertAllEqual(*(tree.map_structure(comparable, x) for x in (x1, x2)), msg)

    def run_serialization_test(self, instance: Any) -> None:
        """The configuration is JSON, and an object made of it has the same one, and the same attributes."""
        config = json.dumps(instance.get_config(), sort_keys=True)
        again = type(instance).from_config(json.loads(config))
        assert config == json.dumps(again.get_config(), sort_keys=True)
        assert set(dir(instance)) == set(dir(again))

    def run_preprocessing_layer_test(
        self, cls: Any, init_kwargs: Any, input_data: Any, expected_output: Any = None,
        expected_detokenize_output: Any = None,
    ) -> None:  # fmt: skip
        """Called directly and in both orders of `tf.data`."""
        layer = cls(**init_kwargs)
        if not hasattr(layer, "detokenize"):  # a tokenizer's vocabulary is no part of its configuration
            self.run_serialization_test(layer)
        output = layer(*input_data) if isinstance(input_data, tuple) else layer(input_data)
        if hasattr(layer, "detokenize"):
            assert layer.detokenize(output) == (expected_detokenize_output or input_data)
        data = tf.data.Dataset.from_tensor_slices(input_data)
        self.assertAllClose(output, data.map(layer).ragged_batch(1000).get_single_element())
        self.assertAllClose(output, data.batch(1000).map(layer).get_single_element())
        if expected_output:
            self.assertAllClose(output, expected_output)

    def run_preprocessor_test(
        self, cls: Any, init_kwargs: Any, input_data: Any, token_id_key: str = "token_ids", **expected: Any
    ) -> None:
        """The same, and the length may be changed."""
        self.run_preprocessing_layer_test(cls, init_kwargs, input_data, **expected)
        layer = cls(**init_kwargs)
        for length in (layer.sequence_length, 17):
            layer.sequence_length = length
            output = layer(*input_data) if isinstance(input_data, tuple) else layer(input_data)
            assert keras.utils.unpack_x_y_sample_weight(output)[0][token_id_key].shape[-1] == length

    def run_backbone_test(self, cls: Any, init_kwargs: Any, input_data: Any, expected_output_shape: Any) -> None:
        """Shapes, and other lengths."""
        backbone = cls(**init_kwargs)
        self.run_serialization_test(backbone)
        output = backbone(input_data)
        for key, shape in expected_output_shape.items():
            assert output[key].shape == shape
        for length in (2, 3, 4):
            backbone({key: value[:, :length] for key, value in input_data.items()})

    def run_task_test(self, cls: Any, init_kwargs: Any, train_data: Any, expected_output_shape: Any = None) -> None:
        """`predict` and `fit`, with texts, datasets and preprocessing apart."""
        task = cls(**init_kwargs)
        self.run_serialization_test(task)
        preprocessor = task.preprocessor
        data = tf.data.Dataset.from_tensor_slices(train_data).batch(2)
        x, y, weights = keras.utils.unpack_x_y_sample_weight(train_data)
        output = task.predict(x)
        assert output.shape == expected_output_shape
        self.assertAllClose(output, task.predict(data))
        task.preprocessor = None
        self.assertAllClose(output, task.predict(data.map(preprocessor)))
        task.preprocessor = preprocessor
        task.fit(x, y, sample_weight=weights)
        task.fit(data)
        task.preprocessor = None
        task.fit(data.map(preprocessor))
        task = cls(**init_kwargs, compile=False)
        with pytest.raises(ValueError, match="You must call `compile"):
            task.fit(data)

    def run_model_saving_test(self, cls: Any, init_kwargs: Any, input_data: Any) -> None:
        """What was saved gives the same, in the format that is there: a preset."""
        model = cls(**init_kwargs)
        with tempfile.TemporaryDirectory() as folder:
            model.save_to_preset(f"{folder}/preset")
            again = cls.from_preset(f"{folder}/preset")
        assert isinstance(again, cls)
        self.assertAllClose(model(input_data), again(input_data))
