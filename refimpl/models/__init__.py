"""Models: architectures, and the task that wires them to text."""

from refimpl.models.audio_to_text import AudioToText
from refimpl.models.backbone import Backbone
from refimpl.models.bart.backbone import BartBackbone
from refimpl.models.bart.seq_2_seq_lm import BartSeq2SeqLM
from refimpl.models.moonshine.audio_to_text import MoonshineAudioToText
from refimpl.models.moonshine.backbone import MoonshineBackbone
from refimpl.models.moonshine.preprocessor import MoonshineAudioToTextPreprocessor
from refimpl.models.moonshine.tokenizer import MoonshineTokenizer
from refimpl.models.seq_2_seq_lm import Seq2SeqLM
from refimpl.models.t5.backbone import T5Backbone
from refimpl.models.t5.seq_2_seq_lm import T5Seq2SeqLM
from refimpl.models.t5gemma.backbone import T5GemmaBackbone
from refimpl.models.t5gemma.preprocessor import T5GemmaSeq2SeqLMPreprocessor
from refimpl.models.t5gemma.seq_2_seq_lm import T5GemmaSeq2SeqLM
from refimpl.models.t5gemma.tokenizer import T5GemmaTokenizer
from refimpl.models.task import Task
from refimpl.preprocessing.bart_seq_2_seq_lm_preprocessor import BartSeq2SeqLMPreprocessor
from refimpl.preprocessing.seq_2_seq_lm_preprocessor import Seq2SeqLMPreprocessor
from refimpl.preprocessing.t5_preprocessor import T5Preprocessor
from refimpl.preprocessing.t5_seq_2_seq_lm_preprocessor import T5Seq2SeqLMPreprocessor
from refimpl.tokenizers.bart_tokenizer import BartTokenizer
from refimpl.tokenizers.t5_tokenizer import T5Tokenizer
from refimpl.tokenizers.tokenizer import Tokenizer

Preprocessor = Seq2SeqLMPreprocessor  # KerasHub's name for the base of all

__all__ = [
    "AudioToText",
    "Backbone",
    "BartBackbone",
    "BartSeq2SeqLM",
    "BartSeq2SeqLMPreprocessor",
    "BartTokenizer",
    "MoonshineAudioToText",
    "MoonshineAudioToTextPreprocessor",
    "MoonshineBackbone",
    "MoonshineTokenizer",
    "Preprocessor",
    "Seq2SeqLM",
    "Seq2SeqLMPreprocessor",
    "T5Backbone",
    "T5GemmaBackbone",
    "T5GemmaSeq2SeqLM",
    "T5GemmaSeq2SeqLMPreprocessor",
    "T5GemmaTokenizer",
    "T5Preprocessor",
    "T5Seq2SeqLM",
    "T5Seq2SeqLMPreprocessor",
    "T5Tokenizer",
    "Task",
    "Tokenizer",
]
