"""The task that generates text from text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from refimpl import samplers
from refimpl.decoding.generate_step import generate_step
from refimpl.decoding.stop import resolve_stop_token_ids, with_preprocessor, without_prompt
from refimpl.decoding.stream import pieces, stream_step
from refimpl.explain import AttentionWeights, Explanation, explain
from refimpl.models.encoder_decoder import Past
from refimpl.models.generate_io import as_batch, as_batches, as_texts, joined, shown
from refimpl.models.task import Task
from refimpl.presets import register
from refimpl.training.arguments import check_jit_compile, refuse_keras_only


@register
class Seq2SeqLM(Task):
    """Base of all encoder-decoder language models: generates one sequence, given another.

    Spec: task.seq2seq
    """

    def __init__(self, *args: Any, compile: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sampler: Any = None
        if compile:
            self.compile()

    def __call__(self, inputs: Mapping[str, Any], training: bool | None = None) -> np.ndarray:
        """Logits of every decoder position.

        Shapes: ids and masks (B, S) and (B, T) -> (B, T, V).
        Raises: MissingInputError, InputError, TokenIdError, SequenceLengthError.
        Spec: models.logits
        """
        states = self.backbone(inputs, training)["decoder_sequence_output"]
        return self.backbone.logits(self.backbone.scope, states)

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        metrics: Any = None,
        weighted_metrics: Any = "auto",
        sampler: Any = "top_k",
        jit_compile: bool | str = True,
        **kwargs: Any,
    ) -> None:
        """Choose how tokens are sampled, and how `fit` trains.

        `jit_compile=True` decodes with compiled kernels, False with the NumPy definition, "auto" with kernels where the
        model is large. All give the same text.

        Raises: SamplerNameError for an unknown sampler, ConfigError for an unknown optimizer, loss or metric, or for
            another `jit_compile`, InputTypeError for other arguments of Keras's that would mean something.
        Spec: samplers.get.names, task.compile.default-sampler, task.compile.jit-compile,
            training.compile.auto, training.compile.keras-only
        """
        refuse_keras_only(kwargs)
        check_jit_compile(jit_compile)
        self.sampler = samplers.get(sampler)
        self.compile_training(optimizer, loss, metrics, weighted_metrics)
        self.jit_compile = jit_compile

    # -- generation ------------------------------------------------------------------------------------------------
    def generate(
        self,
        inputs: Any,
        max_length: int | None = None,
        stop_token_ids: Any = "auto",
        strip_prompt: bool = False,
        *,
        assistant_model: Any = None,
        verbose: bool | None = None,
    ) -> Any:
        """Generate text, one output for each input.

            lm.generate("elephant")                # a text gives a text
            lm.generate(["elephant", "mouse"])     # a list gives a list
            lm.generate({"encoder_text": "elephant", "decoder_text": "EH L"})  # goes on from the start of an output

        `inputs` may also be an iterable of batches, or, without preprocessor, the dictionary of token ids and masks.
        How tokens are chosen is said by `compile(sampler=...)`: "greedy" takes the likeliest, the default "top_k"
        draws, so that two calls differ. `max_length` limits the output. `stop_token_ids="auto"` stops at the
        tokenizer's end token, None never, a tuple of ids at any of these. `strip_prompt=True` leaves `decoder_text`
        out of the result. `verbose=True` counts batches on standard error, False does not; by default that is shown
        for several batches at a terminal or in a notebook. `assistant_model`, a smaller Seq2SeqLM with the same
        vocabulary, proposes tokens and changes nothing but the time (see `samplers.SpeculativeSampler`).

        Units: `max_length` counts decoder tokens, start tokens and prompt included. Without preprocessor it is
            ignored: the prompt array's width is the length.
        Shapes: str -> str; B texts -> B texts; token dictionary -> `decoder_token_ids`, `decoder_padding_mask` (B, T).
            With `BeamSampler(return_all_beams=True)` and K beams: str -> K texts and (K,) log probabilities;
            B texts -> B lists of K texts and (B, K); token dictionary -> (B, K, T) and `beam_log_probs` (B, K).
        Raises: InputTypeError, StopTokenIdsError, NoPreprocessorError, SequenceLengthError.
        Spec: generate.output.types, generate.max-length.counts, generate.max-length.no-preprocessor,
            generate.beams.all, generate.assistant.same-output
        """
        self._settle_sampler()
        stops = resolve_stop_token_ids(stop_token_ids, self.preprocessor)
        batches, single = as_batches(inputs, takes_text=self.preprocessor is not None)
        outputs = []
        for batch in shown(batches, verbose):
            tokens = self._preprocess(batch, max_length)
            # A `generate_step` of the user's own need not know the last argument.
            output = self.generate_step(tokens, stops, *([] if assistant_model is None else [assistant_model]))
            if strip_prompt:
                output = without_prompt(output, tokens["decoder_padding_mask"])
            outputs.append(output if self.preprocessor is None else as_texts(output, self.preprocessor))
        return joined(outputs, single)

    def stream(
        self, inputs: Any, max_length: int | None = None, stop_token_ids: Any = "auto", strip_prompt: bool = False
    ) -> Iterator[Any]:
        """The text of `generate`, piece by piece as it grows. Characters are never split, nothing is taken back.

        Needs a preprocessor. The arguments are those of `generate`; what was drawn at random is drawn anew.

        Shapes: str -> pieces (str); B texts -> lists of B pieces, "" for a row with nothing new.
        Raises: NoPreprocessorError, and what `generate` raises.
        Spec: generate.stream.equals-generate, generate.stream.whole-characters
        """
        self._settle_sampler()
        preprocessor = with_preprocessor(self.preprocessor)
        stops = resolve_stop_token_ids(stop_token_ids, preprocessor)
        batch, single = as_batch(inputs)
        tokens = preprocessor.generate_preprocess(batch, sequence_length=max_length)
        outputs = stream_step(self, tokens, stops)
        if strip_prompt:
            outputs = (without_prompt(output, tokens["decoder_padding_mask"]) for output in outputs)
        texts = map(preprocessor.generate_postprocess, outputs)
        for new in pieces(texts, len(tokens["decoder_token_ids"])):
            yield new[0] if single else new

    def explain(self, inputs: Any, max_length: int | None = None, stop_token_ids: Any = "auto") -> Explanation:
        """How `generate` comes to its result for one text: tokens, likeliest choices, attention, beams, cache.

        Print the result, `save("page.html")` it, or leave it as a notebook cell's last line. Nothing is computed twice,
        and a sampler that draws goes on as if nothing had been asked.

        Raises: InputError for several texts, and what `generate` raises.
        Spec: task.explain
        """
        self._settle_sampler()
        return explain(self, inputs, max_length, stop_token_ids)

    def attention_weights(self, inputs: Any, max_length: int | None = None) -> AttentionWeights:
        """Where each token of one text and of what is generated from it looks, in every layer and head.

        Shapes: -> encoder (L, H, S, S), decoder (L, H, T, T), cross (L, H, T, S): S source tokens, T tokens that the
            decoder read, all but the last that came; each row sums to 1.
        Spec: task.attention-weights
        """
        return self.explain(inputs, max_length).attention

    def _settle_sampler(self) -> None:
        """The sampler, also where the attribute was set to a name: what `compile` takes is taken here too.

        Spec: task.compile.missing
        """
        if self.sampler is None:
            self.compile()
        self.sampler = samplers.get(self.sampler)

    def _preprocess(self, batch: Any, max_length: int | None) -> Mapping[str, Any]:
        """A batch as token ids; without preprocessor it is that already."""
        if self.preprocessor is None:
            return batch
        return self.preprocessor.generate_preprocess(batch, sequence_length=max_length)

    def generate_step(
        self, inputs: Mapping[str, Any], stop_token_ids: tuple[int, ...] | None = None, assistant_model: Any = None
    ) -> dict[str, np.ndarray]:
        """One batch of token ids. Shapes: ids and masks (B, S), (B, T) -> ids and mask (B, T)."""
        return generate_step(self, inputs, stop_token_ids, assistant_model)

    def call_encoder(self, token_ids: np.ndarray, padding_mask: np.ndarray) -> np.ndarray:
        """The encoder's output. Shapes: (B, S) -> (B, S, E)."""
        batch = {"encoder_token_ids": token_ids, "encoder_padding_mask": padding_mask}
        return self.backbone.encode(self.backbone.scope, batch)[0]

    def _encode(self, source: np.ndarray, padding_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The encoder's output, and the mask of it. Shapes: (B, S) -> (B, S, E), (B, S)."""
        return self.call_encoder(token_ids=source, padding_mask=padding_mask), padding_mask

    def call_decoder_with_cache(
        self,
        encoder_hidden_states: np.ndarray,
        encoder_padding_mask: np.ndarray,
        decoder_token_ids: np.ndarray,
        self_attention_cache: np.ndarray,
        self_attention_cache_update_index: int,
        cross_attention_cache: np.ndarray,
        cross_attention_cache_update_index: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Decoder positions from the update index on. `cross_attention_cache_update_index=0` fills the cross cache.

        Shapes: ids (B, T), states (B, S, E), caches (B, L, 2, T_max or S, H, D)
            -> logits (B, T, V), states (B, T, E), and both caches.
        Spec: decoding.cache.equals-uncached
        """
        model, weights = self.backbone, self.backbone.scope
        if cross_attention_cache_update_index is not None:
            cross_attention_cache = model.cross_keys_values(weights, encoder_hidden_states)
        own = self_attention_cache.copy()
        batch = {"decoder_token_ids": decoder_token_ids, "encoder_padding_mask": encoder_padding_mask}
        past = Past(own, cross_attention_cache, int(self_attention_cache_update_index))
        states = model.decode(weights, batch, encoder_hidden_states, past=past)
        return model.logits(weights, states), states, own, cross_attention_cache

    def _initialize_cache(
        self, encoder_token_ids: np.ndarray, decoder_token_ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Empty caches. Shapes: (B, L, 2, T, H, D) and (B, L, 2, S, H, D). Spec: decoding.cache.layout"""
        model, target = self.backbone, decoder_token_ids.shape[1]
        rows, source = len(encoder_token_ids), model.source_length(encoder_token_ids.shape[1])
        own, cross = (np.zeros((rows, *model.cache_shape(n)), model.dtype) for n in (target, source))
        return own, cross
