"""26 steps of scripts for KerasHub's BART: the summarization example of keras.io, trainings on SAMSum, its own tests.

Each runs after SETUP, in an empty folder, and leaves something in `result`.
"""

SETUP = """
    import tensorflow as tf
    keras.utils.set_random_seed(0)
    preprocessor = keras_hub.models.BartSeq2SeqLMPreprocessor.from_preset(
        "bart_base_en", encoder_sequence_length=24, decoder_sequence_length=16
    )
    backbone = keras_hub.models.BartBackbone.from_preset("bart_base_en", dropout=0.0)
    lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en", backbone=backbone, preprocessor=preprocessor)
    lm.compile(sampler="greedy")
    texts = {
        "encoder_text": ["the quick fox jumped", "I forgot my homework", "the whale"],
        "decoder_text": ["the fox leapt", "I forgot", "a whale"],
    }
    ds = tf.data.Dataset.from_tensor_slices(texts).batch(2).cache().prefetch(tf.data.AUTOTUNE)
    ids = {
        "encoder_token_ids": np.array([[0, 33, 29, 2, 1]] * 2),
        "encoder_padding_mask": np.array([[1, 1, 1, 1, 0]] * 2),
        "decoder_token_ids": np.array([[2, 0, 33, 17, 1]] * 2),
        "decoder_padding_mask": np.array([[1, 1, 1, 1, 0]] * 2),
    }
"""

STEPS = {
    "summarization example: summary, AdamW without decay of biases, loss, fit on tf.data": """
        lm.summary()
        optimizer = keras.optimizers.AdamW(learning_rate=5e-5, weight_decay=0.01, epsilon=1e-6, global_clipnorm=1.0)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        optimizer.exclude_from_weight_decay(var_names=["gamma"])
        optimizer.exclude_from_weight_decay(var_names=["beta"])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        lm.compile(optimizer=optimizer, loss=loss, weighted_metrics=["accuracy"])
        result = lm.fit(ds, epochs=2, verbose=0).history
    """,
    "summarization example: generate from the bytes of a dataset": """
        dialogues = [text.numpy() for text in tf.data.Dataset.from_tensor_slices(texts["encoder_text"])]
        dialogues = [dialogue.decode() for dialogue in dialogues]
        result = [lm.generate(dialogues[0], max_length=12), lm.generate(dialogues, max_length=12)]
    """,
    "a schedule with the optimizer": """
        rate = keras.optimizers.schedules.PolynomialDecay(1e-2, decay_steps=4, end_learning_rate=0.0)
        lm.compile(optimizer=keras.optimizers.Adam(rate))
        result = lm.fit(ds, epochs=2, verbose=0).history
    """,
    "a schedule of one's own": """
        class Warmup(keras.optimizers.schedules.LearningRateSchedule):
            def __call__(self, step):
                return 1e-3 * (step + 1)

            def get_config(self):
                return {}

        lm.compile(optimizer=keras.optimizers.SGD(Warmup()))
        result = lm.fit(ds, epochs=2, verbose=0).history
    """,
    "optimizer by the name rmsprop": """
        lm.compile(optimizer="rmsprop", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        result = lm.fit(ds, epochs=2, verbose=0).history
    """,
    "learning_rate.assign between two fits": """
        lm.compile(optimizer=keras.optimizers.Adam(1e-3))
        lm.fit(ds, verbose=0)
        lm.optimizer.learning_rate.assign(1e-4)
        result = [lm.fit(ds, verbose=0).history, round(float(lm.optimizer.learning_rate), 8)]
    """,
    "run_eagerly": """
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        lm.compile(optimizer="adam", loss=loss, run_eagerly=True)
        result = lm.evaluate(ds, verbose=0)
    """,
    "lm(x, training=False) and lm.call": """
        one, two = lm(ids, training=False), lm.call(ids)
        result = [float(np.abs(np.asarray(one) - np.asarray(two)).max()), round(float(np.asarray(one).std()), 3)]
        assert np.shape(lm(ids, training=True)) == np.shape(one)
    """,
    "weights with path, name, shape, numpy and assign": """
        weight = lm.backbone.weights[0]
        before = weight.numpy()
        weight.assign(before * 2)
        assert np.allclose(np.array(lm.backbone.weights[0]), 2 * before)
        result = [weight.path, weight.name, list(weight.shape), str(weight.dtype), len(lm.weights), float(before.sum())]
    """,
    "the lists of variables, counted": """
        lm.backbone.trainable = False
        result = [len(lm.trainable_weights), len(lm.trainable_variables), len(lm.backbone.non_trainable_weights)]
        lm.backbone.trainable = True
        result += [sum(np.prod(weight.shape) for weight in lm.backbone.trainable_variables)]
        result += [len(lm.backbone.non_trainable_variables), len(lm.backbone.variables), lm.count_params()]
    """,
    "layers and get_layer, frozen one by one": """
        for layer in lm.backbone.layers:
            if layer.name.startswith("transformer_encoder"):
                layer.trainable = False
        lm.backbone.token_embedding.trainable = False
        lm.get_layer("bart_backbone").get_layer("encoder_position_embedding").trainable = False
        assert lm.get_layer(index=-1).name == "token_embedding"
        before = lm.backbone.token_embedding.embeddings.numpy()
        lm.compile(optimizer=keras.optimizers.Adam(1e-3))
        loss = lm.fit(ds, verbose=0).history["loss"]
        result = [loss, len(lm.backbone.trainable_weights), len(lm.backbone.encoder_transformer_layers)]
        assert np.array_equal(before, lm.backbone.token_embedding.embeddings.numpy())
    """,
    "weights of a layer, taken and set": """
        layer = lm.backbone.get_layer("transformer_decoder_layer_1")
        held = layer.get_weights()
        layer.set_weights([0 * array for array in held])
        result = [len(held), layer.count_params(), float(sum(np.abs(array).sum() for array in layer.get_weights()))]
    """,
    "save_weights and load_weights": """
        before = lm.generate("the whale", max_length=12)
        lm.save_weights("bart.weights.h5")
        lm.backbone.token_embedding.embeddings.assign(lm.backbone.token_embedding.embeddings.numpy() * 0)
        lm.load_weights("bart.weights.h5")
        result = [before, lm.generate("the whale", max_length=12)]
    """,
    "save_to_preset, and from_preset with the task's base class": """
        lm.save_to_preset("saved")
        other = keras_hub.models.Seq2SeqLM.from_preset("saved")
        other.compile(sampler="greedy")
        result = [type(other).__name__, other.generate("the whale", max_length=12)]
    """,
    "ModelCheckpoint of weights, with EarlyStopping": """
        callbacks = [
            keras.callbacks.ModelCheckpoint(
                "best.weights.h5", monitor="val_loss", save_best_only=True, save_weights_only=True
            ),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True),
        ]
        lm.compile(optimizer=keras.optimizers.SGD(0.1))
        result = lm.fit(ds, validation_data=ds, epochs=3, verbose=0, callbacks=callbacks).history
        lm.load_weights("best.weights.h5")
    """,
    "a callback of one's own that generates, and a LearningRateScheduler": """
        class Show(keras.callbacks.Callback):
            seen = []

            def on_epoch_end(self, epoch, logs=None):
                self.seen.append(self.model.generate("the whale", max_length=8))

        rates = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
        lm.compile(optimizer=keras.optimizers.SGD(1e-3), sampler="greedy")
        lm.fit(ds, epochs=2, verbose=0, callbacks=[Show(), rates])
        result = [len(Show.seen), round(float(lm.optimizer.learning_rate), 8)]
    """,
    "ds.map(preprocessor), then fit without it": """
        mapped = ds.map(preprocessor, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        lm.preprocessor = None
        lm.compile(optimizer=keras.optimizers.Adam(1e-3))
        result = [list(mapped.element_spec[0]["decoder_token_ids"].shape), lm.fit(mapped, verbose=0).history]
    """,
    "a tokenizer on tensors and in ds.map": """
        tokenizer = keras_hub.models.BartTokenizer.from_preset("bart_base_en")
        words = tf.data.Dataset.from_tensor_slices(["the fox", "a"])
        rows = [row.numpy() for row in words.map(tokenizer)]
        batch = next(iter(words.batch(2).map(tokenizer)))
        padded = keras_hub.models.BartTokenizer.from_preset("bart_base_en", sequence_length=5)
        dense = next(iter(words.batch(2).map(padded)))
        result = [[row.tolist() for row in rows], batch.to_list(), list(dense.shape)]
        result += [np.asarray(tokenizer(tf.constant("the fox")))]
    """,
    "columns of pandas in fit and generate": """
        import pandas as pd
        frame = pd.DataFrame(texts)
        lm.compile(optimizer=keras.optimizers.Adam(1e-3), sampler="greedy")
        columns = {key: frame[key].to_numpy(dtype=object) for key in frame}
        history = lm.fit(columns, batch_size=2, verbose=0, shuffle=False).history
        result = [history, lm.generate(frame["encoder_text"].tolist(), max_length=8)]
    """,
    "StartEndPacker": """
        packer = keras_hub.layers.StartEndPacker(
            sequence_length=6, start_value=[2, 0], end_value=2, pad_value=1, return_padding_mask=True
        )
        one, mask = packer([7, 8])
        result = [np.asarray(one), np.asarray(mask), np.asarray(packer([[7], [8, 9, 10, 11, 12]])[0])]
    """,
    "models.Preprocessor, dtype, built, version": """
        assert isinstance(lm.preprocessor, keras_hub.models.Preprocessor)
        assert isinstance(lm.backbone, keras_hub.models.Backbone) and isinstance(keras_hub.version(), str)
        result = [str(lm.dtype), lm.built, lm.backbone.built, "BartSeq2SeqLM" in repr(lm)]
    """,
    "Perplexity with its defaults, and in compile": """
        shares = np.random.default_rng(0).uniform(size=(2, 5, 10)).astype("float32")
        labels = np.random.default_rng(1).integers(0, 10, (2, 5))
        alone = keras_hub.metrics.Perplexity(mask_token_id=0)(labels, shares)
        metric = keras_hub.metrics.Perplexity(from_logits=True, mask_token_id=1, name="ppl")
        lm.compile(weighted_metrics=[metric])
        result = [float(alone), lm.evaluate(ds, verbose=0, return_dict=True)["ppl"] > 0]
    """,
    "RougeL, RougeN and Bleu": """
        true = ["the tiny little cat was found under the big funny bed", "a b"]
        guess = ["the cat was under the bed", "a c"]
        metrics = keras_hub.metrics.RougeL(), keras_hub.metrics.RougeN(order=1)
        scores = [metric(true, guess) for metric in metrics]
        bleu = keras_hub.metrics.Bleu(max_order=2)([[text] for text in true], guess)
        smooth = keras_hub.metrics.Bleu(smooth=True)([[text] for text in true], guess)
        result = [float(score[key]) for score in scores for key in sorted(score)] + [float(bleu), float(smooth)]
    """,
    "EditDistance": """
        true = ["the tiny cat".split(), "it is sunny".split()]
        guess = ["the cat".split(), "it is not sunny now".split()]
        plain = keras_hub.metrics.EditDistance(normalize=False)
        result = [float(keras_hub.metrics.EditDistance()(true, guess)), float(plain(true, guess))]
    """,
    "from_config of a task": """
        other = keras_hub.models.BartSeq2SeqLM.from_config(lm.get_config())
        other.set_weights(lm.get_weights())
        result = [type(other.preprocessor).__name__, other.count_params()]
        result += [float(np.abs(np.asarray(other(ids)) - np.asarray(lm(ids))).max())]
    """,
    "generate on one unbatched row of ids": """
        lm.preprocessor = None
        lm.compile(sampler="greedy")
        one = lm.generate({key: array[0] for key, array in ids.items()}, stop_token_ids=None)
        many = lm.generate(ids, stop_token_ids=None)
        assert np.array_equal(one["decoder_token_ids"], many["decoder_token_ids"][0])
        result = np.asarray(one["decoder_token_ids"])
    """,
}

# What belongs to Keras's graphs: refused by an error that names what to use instead.
REFUSED = {
    "save to a .keras file": 'lm.save("model.keras")',
    "export": 'lm.export("exported")',
    "LoRA": "lm.backbone.enable_lora(4)",
    "quantize": 'lm.quantize("int8")',
    "TensorBoard": 'keras.callbacks.TensorBoard("logs")',
    "a checkpoint as a .keras file": 'keras.callbacks.ModelCheckpoint("model.keras")',
    "another optimizer": "keras.optimizers.Lion(1e-4)",
    "another optimizer by name": 'lm.compile(optimizer="lion")',
    "another loss": "keras.losses.KLDivergence()",
    "Perplexity of probabilities in compile": "lm.compile(weighted_metrics=[keras_hub.metrics.Perplexity()])",
}
