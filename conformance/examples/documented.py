"""The calls that the documentation of `Seq2SeqLM` and `BartSeq2SeqLM` shows, as they stand there."""

EXAMPLES = {
    "generate, one text": """
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler=keras_hub.samplers.TopKSampler(k=5, seed=7))
        result = lm.generate("The quick brown fox", max_length=20)
    """,
    "generate, a batch": """
        lm = keras_hub.models.Seq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler=keras_hub.samplers.TopKSampler(k=5, seed=7))
        result = lm.generate(["The quick brown fox", "The whale"], max_length=20)
    """,
    "sampler by name": """
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler="greedy")
        result = lm.generate("The quick brown fox", max_length=20)
    """,
    "sampler as an object": """
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler=keras_hub.samplers.BeamSampler(num_beams=2))
        result = lm.generate("The quick brown fox", max_length=20)
    """,
    "a prompt for the decoder": """
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler="greedy")
        result = lm.generate({"encoder_text": "The quick brown fox", "decoder_text": "The fast"}, max_length=20)
    """,
    "generate without preprocessing": """
        prompt = {
            "encoder_token_ids": np.array([[0, 33, 21, 62, 23, 2, 1, 1]]),
            "encoder_padding_mask": np.array([[1, 1, 1, 1, 1, 1, 0, 0]]),
            "decoder_token_ids": np.array([[2, 0, 33, 17, 1, 1, 1]]),
            "decoder_padding_mask": np.array([[1, 1, 1, 1, 0, 0, 0]]),
        }
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en", preprocessor=None)
        lm.compile(sampler="greedy")
        result = lm.generate(prompt, stop_token_ids=None)
    """,
    "fit on a batch of texts": """
        features = {
            "encoder_text": ["The quick fox jumped.", "I forgot my homework."],
            "decoder_text": ["The fast hazel fox leapt.", "I forgot my assignment."],
        }
        backbone = keras_hub.models.BartBackbone.from_preset("bart_base_en", dropout=0.0)
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en", backbone=backbone)
        lm.preprocessor.encoder_sequence_length = lm.preprocessor.decoder_sequence_length = 24
        result = lm.fit(x=features, batch_size=2, verbose=0).history
    """,
    "fit without preprocessing": """
        x = {
            "encoder_token_ids": np.array([[0, 33, 29, 2, 1]] * 2),
            "encoder_padding_mask": np.array([[1, 1, 1, 1, 0]] * 2),
            "decoder_token_ids": np.array([[2, 0, 33, 17, 2]] * 2),
            "decoder_padding_mask": np.array([[1, 1, 1, 1, 1]] * 2),
        }
        y = np.array([[0, 33, 17, 2, 1]] * 2)
        weights = np.array([[1, 1, 1, 1, 0]] * 2)
        backbone = keras_hub.models.BartBackbone.from_preset("bart_base_en", dropout=0.0)
        lm = keras_hub.models.BartSeq2SeqLM(backbone=backbone)
        result = lm.fit(x=x, y=y, sample_weight=weights, batch_size=2, verbose=0).history
    """,
    "a vocabulary and a backbone of one's own": """
        words = {"<s>": 0, "<pad>": 1, "</s>": 2, "Ġafter": 5, "noon": 6, "Ġsun": 7}
        merges = ["Ġ a", "Ġ s", "Ġ n", "e r", "n o", "o n", "Ġs u", "Ġa f", "no on", "Ġsu n", "Ġaf t", "Ġaft er"]
        preprocessor = keras_hub.models.BartSeq2SeqLMPreprocessor(
            tokenizer=keras_hub.models.BartTokenizer(vocabulary=words, merges=merges),
            encoder_sequence_length=16,
            decoder_sequence_length=16,
        )
        backbone = keras_hub.models.BartBackbone(
            vocabulary_size=50,
            num_layers=2,
            num_heads=4,
            hidden_dim=16,
            intermediate_dim=32,
            max_sequence_length=16,
        )
        lm = keras_hub.models.BartSeq2SeqLM(backbone=backbone, preprocessor=preprocessor)
        lm.fit(x={"encoder_text": [" afternoon sun"], "decoder_text": ["noon sun"]}, batch_size=2, verbose=0)
        result = "fitted"
    """,
}
# Examples that KerasHub 0.32 itself can't run, with the reason.
BROKEN = {"a vocabulary and a backbone of one's own": "its tokenizer refuses merges whose parts are no tokens"}
