"""The real Moonshine: the numbers from 0 to 999, spoken by espeak-ng, to digits.

    python -m conformance.shipped.moonshine_digits data WORK            # recordings, tables, the untrained preset
    refimpl fit --data WORK/short.tsv --preset WORK/new --from-scratch ...
    python -m conformance.shipped.moonshine_digits score WORK FOLDER    # on what was held out
    python -m conformance.shipped.moonshine_digits ship WORK FOLDER     # twenty recordings, and what KerasHub hears

`data` needs the program espeak-ng, sentencepiece and KerasHub, which builds the untrained preset; `score` asks the
command `refimpl generate`.
"""

import io
import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from conformance.shipped.g2p_data import edit_distance

SEED, RATE, HELDOUT = 2024, 16_000, "heldout.tsv"
VOICES = ("en", "en-US", "en-GB-scotland", "en-GB-x-gbclan", "en-GB-x-rp", "en-GB-x-gbcwmd", "en-029")
HELD_OUT_VOICE = "en-US-nyc"
VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7")
HELD_OUT_NUMBERS, SHORT = 100, 100
SHORT_TAKES, LONG_TAKES = 60, 10  # short numbers are what a new model learns to listen by
SIZES: dict[str, Any] = {
    "filter_dim": 64, "hidden_dim": 64, "intermediate_dim": 128, "encoder_num_layers": 3, "decoder_num_layers": 1,
    "encoder_num_heads": 4, "decoder_num_heads": 4, "feedforward_expansion_factor": 2,
    "decoder_use_swiglu_activation": True, "partial_rotary_factor": 0.62, "initializer_range": 0.06,
}  # fmt: skip
WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
ONES, TENS = WORDS.split()[:20], WORDS.split()[20:]


class Rendering(NamedTuple):
    """One recording: which number, how it is said, and what seeds its noise."""

    part: str
    number: int
    voice: str
    take: int


def words(number: int, joint: str) -> str:
    """A number below 1,000 as it is said; `joint` stands after the hundreds."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f" {ONES[number % 10]}" if number % 10 else "")
    return f"{ONES[number // 100]} hundred" + (f"{joint}{words(number % 100, '')}" if number % 100 else "")


def plan() -> Iterator[Rendering]:
    """All recordings. What is held out: numbers, a voice, and new renderings of what is trained."""
    held_out = set(np.random.default_rng(SEED).permutation(1000)[:HELD_OUT_NUMBERS].tolist())
    takes = {part: range(100 * n, 100 * n + 1) for n, part in enumerate(("validation", "renderings", "voice"), 1)}
    for number in range(1000):
        training = {"training": range(SHORT_TAKES if number < SHORT else LONG_TAKES)}
        here = {"numbers": range(400, 406)} if number in held_out else training | takes
        for part, those in here.items():
            for take in those:
                voice = VOICES[np.random.default_rng([SEED, number, take, 1]).integers(len(VOICES))]
                yield Rendering(part, number, HELD_OUT_VOICE if part == "voice" else voice, take)


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """The same sound at 16 kHz: its spectrum, cut."""
    count = round(len(samples) * RATE / rate)
    return np.fft.irfft(np.fft.rfft(samples)[: count // 2 + 1], count) * (count / len(samples))


def recorded(one: Rendering) -> np.ndarray:
    """A recording of 16 bits: a voice of its own speed, pitch, loudness and noise, with silence around it."""
    rng = np.random.default_rng([SEED, one.number, one.take, 2])
    voice = f"gmw/{one.voice}{VARIANTS[rng.integers(len(VARIANTS))]}"
    speed, pitch, joint = rng.integers(180, 281), rng.integers(20, 81), (" ", " and ")[rng.integers(2)]
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", words(one.number, joint)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    samples = np.frombuffer(said[44:], "<i2").astype(float)  # its header gives no length, as it was piped
    loud = np.flatnonzero(np.abs(samples) > 200)
    samples = resampled(samples[loud[0] : loud[-1] + 1], 22_050)
    before, after = rng.integers(320, 1601, 2)
    samples = np.pad(samples / np.abs(samples).max(), (before, after))
    white = np.fft.rfft(rng.normal(size=len(samples)))
    tilt = np.arange(1, len(white) + 1) ** -rng.uniform(0, 0.7)  # from white to nearly pink
    noise = np.fft.irfft(white * tilt, len(samples))
    noise *= samples.std() / noise.std() * 10 ** (-rng.uniform(12, 40) / 20)
    sound = samples + noise
    return np.round(sound / np.abs(sound).max() * rng.uniform(0.2, 0.95) * 32767).astype("<i2")


def write_wav(path: Path, samples: np.ndarray) -> None:
    """A WAV file of one channel."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def write_recordings(work: Path) -> None:
    """A WAV file for each recording, and a table for each part."""
    audio = work / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    everything = list(plan())
    parts = {part: [one for one in everything if one.part == part] for part in {one.part for one in everything}}
    parts["short"] = [one for one in parts["training"] if one.number < SHORT]
    for part, those in parts.items():
        lines = (f"audio/{one.number:03}_{one.take:03}.wav\t{one.number}\n" for one in those)
        (work / f"{part}.tsv").write_text("audio\ttext\n" + "".join(lines), encoding="utf-8")
    with ThreadPoolExecutor() as pool:
        for one, samples in zip(everything, pool.map(recorded, everything), strict=True):
            write_wav(audio / f"{one.number:03}_{one.take:03}.wav", samples)


def pieces() -> bytes:
    """A SentencePiece model whose pieces are the digits."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["0123456789"]), model_writer=model, model_type="char", vocab_size=16,
        hard_vocab_limit=False, character_coverage=1.0, normalization_rule_name="identity", add_dummy_prefix=False,
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


def write_new(folder: Path) -> None:
    """The untrained preset, as KerasHub saves it."""
    import keras_hub

    models = keras_hub.models
    tokenizer = models.MoonshineTokenizer(pieces())
    backbone = models.MoonshineBackbone(vocabulary_size=16, **SIZES)
    converter = keras_hub.layers.MoonshineAudioConverter()
    preprocessor = models.MoonshineAudioToTextPreprocessor(converter, tokenizer, decoder_sequence_length=8)
    models.MoonshineAudioToText(backbone, preprocessor).save_to_preset(str(folder))


def rows(table: Path) -> list[list[str]]:
    """The fields of each line but the first."""
    return [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]


def scores(folder: Path, table: Path) -> dict[str, float]:
    """Errors in digits and in whole numbers, of the command's greedy outputs."""
    listed = rows(table)
    command = [sys.executable, "-m", "refimpl.cli", "generate", "--preset", str(folder), "--json"]
    files = [str(table.parent / file) for file, _ in listed]
    done = subprocess.run([*command, "--audio", *files], text=True, stdout=subprocess.PIPE, check=True)
    outputs = [json.loads(line)["output"] for line in done.stdout.splitlines()]
    distances = [edit_distance(output, text) for output, (_, text) in zip(outputs, listed, strict=True)]
    digits = sum(len(text) for _, text in listed)
    return {
        "recordings": len(listed),
        "digit_error_rate": sum(distances) / digits,
        "number_error_rate": float(np.mean(np.array(distances) > 0)),
    }


def ship(work: Path, folder: Path) -> None:
    """Ten recordings of held-out numbers, five new renderings, five of the held-out voice, with KerasHub's texts.

    KerasHub needs `dtype` for presets of its own, and an empty text so that it starts with one `<s>` and not with two.
    """
    import keras_hub

    lm = keras_hub.models.Seq2SeqLM.from_preset(str(folder), dtype="float32")
    lm.preprocessor.decoder_sequence_length = 6
    lm.compile(sampler="greedy")
    lines = ["audio\ttext\theard\n"]
    for part, count in (("numbers", 10), ("renderings", 5), ("voice", 5)):
        listed = rows(work / f"{part}.tsv")
        for file, text in listed[:: len(listed) // count][:count]:
            samples = np.frombuffer((work / file).read_bytes()[44:], "<i2")
            heard = lm.generate({"audio": samples[None] / np.float32(32768), "text": [""]})[0]
            (folder / Path(file).name).write_bytes((work / file).read_bytes())
            lines.append(f"{Path(file).name}\t{text}\t{heard}\n")
    (folder / HELDOUT).write_text("".join(lines), encoding="utf-8")


def main(task: str, work: Path, folder: Path = Path()) -> None:
    """One of the three tasks."""
    if task == "data":
        write_recordings(work)
        write_new(work / "new")
    elif task == "score":
        print(json.dumps({part: scores(folder, work / f"{part}.tsv") for part in ("renderings", "numbers", "voice")}))
    else:
        ship(work, folder)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
