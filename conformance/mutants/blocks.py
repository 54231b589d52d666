"""Which block a mutant is in, by the place that it patches: what the suite should name."""

from fnmatch import fnmatch

from conformance.mutants import Mutant

# Module and attribute, as patterns, with the names that are right; the first row that fits counts.
PLACES = (
    ("refimpl.autograd.ops", "attention", "*attention"),
    ("refimpl.autograd.ops", "layer_norm", "*_norm"),
    ("refimpl.autograd.ops", "rms_norm", "*_norm"),
    ("refimpl.autograd.ops", "gelu", "*.feed_forward"),
    ("refimpl.autograd.ops", "relu", "*.feed_forward"),
    ("refimpl.autograd.ops", "embed", "*.embed"),
    ("refimpl.autograd.ops", "unembed", "logits"),
    ("refimpl.autograd.ops", "matmul*", "invariance* encoder* decoder* logits"),
    ("refimpl.autograd.ops", "linear", "*attention *.feed_forward"),
    ("refimpl.autograd.ops", "*loss*", "training*"),
    ("refimpl.autograd*", "*", "training* autograd*"),
    ("refimpl.models.*", "*.encoder_layer", "encoder.layer.*"),
    ("refimpl.models.*", "*.decoder_layer", "decoder.layer.* cache"),
    ("refimpl.models.*", "may_attend_past", "decoder.layer.*.self_attention cache"),
    ("refimpl.models.*", "may_attend_tokens", "*attention"),
    ("refimpl.models.attention", "*", "*attention"),
    ("refimpl.models.*", "*.attend", "*attention"),
    ("refimpl.models.*", "*.feed_forward", "*.feed_forward"),
    ("refimpl.models.*", "*.norm", "*_norm"),
    ("refimpl.models.*", "EPSILON", "*_norm"),
    ("refimpl.models.*", "ACTIVATIONS", "*.feed_forward"),
    ("refimpl.models.*", "relative_bias", "*.position_bias cache"),
    ("refimpl.models.positions", "*", "*.position_bias"),
    ("refimpl.models.*", "*.transform", "*.feed_forward*"),
    ("refimpl.models.*", "*.depth", "encoder.*"),
    ("refimpl.models.*", "*.embed", "*.embed cache"),
    ("refimpl.models.*", "*.encode", "encoder.*"),
    ("refimpl.models.*", "*.decode", "decoder.* cache"),
    ("refimpl.models.*", "*.logits", "logits"),
    ("refimpl.models.*", "*.head", "logits"),
    ("refimpl.models.*", "*.cross_keys_values", "cache"),
    ("refimpl.models.*", "*.forward*", "encoder* decoder* models*"),
    ("refimpl.models.seq_2_seq_lm", "Seq2SeqLM.call_encoder", "cache encoder*"),
    ("refimpl.models.seq_2_seq_lm", "Seq2SeqLM._initialize_cache", "cache"),
    ("refimpl.models.*", "resolve_stop_token_ids", "generate.stop*"),
    ("refimpl.models.seq_2_seq_lm", "*", "generate* samplers*"),
    ("refimpl.models.generate_io", "*", "generate*"),
    ("refimpl.models.task", "*", "presets*"),
    ("refimpl.models.*", "*check_length*", "models.bart models.inputs decoding*"),
    ("refimpl.models.*_tokenizer", "*", "tokenizers*"),
    ("refimpl.models.*_preprocessor", "*", "preprocessing*"),
    ("refimpl.models.*_backbone", "*__init__", "presets* models*"),
    ("refimpl.models.backbone", "*", "presets* models*"),
    ("refimpl.decoding.cache*", "*", "cache"),
    ("refimpl.decoding.generate_step", "*", "cache generate* samplers*"),
    ("refimpl.decoding*", "*", "generate* samplers* cache"),
    ("refimpl.tokenizers*", "*save*", "presets* tokenizers*"),
    ("refimpl.tokenizers*", "*", "tokenizers*"),
    ("refimpl.preprocessing*", "*._class_for", "presets* preprocessing*"),  # what of a preprocessor belongs to presets
    ("refimpl.preprocessing*", "*.get_config", "presets* preprocessing*"),
    ("refimpl.preprocessing*", "*.fit_to_positions", "presets* preprocessing*"),
    ("refimpl.preprocessing*", "*generate_preprocess", "preprocessing* generate.max-length*"),
    ("refimpl.preprocessing*", "*", "preprocessing*"),
    ("refimpl.presets*", "*", "presets*"),
    ("refimpl.samplers.beam*", "*", "samplers.beam*"),
    ("refimpl.samplers.contrastive*", "*", "samplers.contrastive*"),
    ("refimpl.samplers.top_k*", "*", "samplers.top-k*"),
    ("refimpl.samplers.top_p*", "*", "samplers.top-p*"),
    ("refimpl.samplers.greedy*", "*", "samplers.greedy*"),
    ("refimpl.samplers.random*", "*", "samplers.random*"),
    ("refimpl.samplers.speculative*", "*", "samplers.speculative*"),
    ("refimpl.samplers*", "*", "samplers*"),
    ("refimpl.random*", "*", "samplers* training*"),
    ("refimpl.training*", "*", "training*"),
    ("refimpl.task*", "*", "task* generate* presets*"),
)


def right_names(mutant: Mutant) -> list[str]:
    """Patterns of the names that are right: of the mutant itself, or by the places that it patches."""
    if mutant.block:
        return mutant.block.split()
    names = []
    for module, path, _ in mutant.patches:
        fits = (right for m, p, right in PLACES if fnmatch(module, m) and fnmatch(path, p))
        names += next(fits, module).split()
    return names


def named(mutant: Mutant, block: str) -> bool:
    """Whether what the suite names is where the mutant is wrong."""
    return any(fnmatch(block, pattern) for pattern in right_names(mutant))
