"""Writing a SentencePiece model from its parts, as a checkpoint may hold them in JSON alone; and its type and size.

Source: sentencepiece 0.2.3, sentencepiece_model.proto (the numbers of the fields); protobuf's wire format
"""

import struct
from collections.abc import Iterable, Iterator

# What a piece is, by the format's numbers.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
UNIGRAM, BPE, WORD, CHAR = 1, 2, 3, 4


def model_file(
    pieces: Iterable[tuple[str, float, int]],
    model_type: int = UNIGRAM,
    charsmap: bytes = b"",
    frame: dict[str, int] | None = None,
    byte_fallback: bool = False,
    extra_spaces: bool = False,
) -> bytes:
    """A serialized model that puts a space before the text and, unless told otherwise, takes extra spaces away.

    `pieces` are text, score and kind, by id; `frame` gives the ids of "unk", "bos", "eos" and "pad", where there are
    such; `charsmap` is the precompiled table of a normalization.

    Spec: presets.transformers.sentence-piece
    """
    rows = list(pieces)
    ids = {"unk": 0, "bos": -1, "eos": -1, "pad": -1} | (frame or {})
    trainer = _number(3, model_type) + _number(4, len(rows)) + _number(35, byte_fallback)
    for number, name in enumerate(("unk", "bos", "eos", "pad")):
        trainer += _number(40 + number, ids[name])
        if ids[name] >= 0:
            trainer += _text(45 + number, rows[ids[name]][0].encode())
    normalizer = _text(2, charsmap) if charsmap else b""
    normalizer += _number(3, 1) + _number(4, not extra_spaces) + _number(5, 1)
    written = b"".join(
        _text(1, _text(1, piece.encode()) + _float(2, score) + _number(3, kind)) for piece, score, kind in rows
    )
    return written + _text(2, trainer) + _text(3, normalizer)


def _varint(value: int) -> bytes:
    value %= 2**64  # negative numbers are written as if unsigned
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(int(value))


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def model_type(proto: bytes) -> int:
    """The type of a serialized model: unigram where it says nothing."""
    found = UNIGRAM
    for field, value in _fields(proto):
        if field == 2 and isinstance(value, bytes):
            found = next((kind for number, kind in _fields(value) if number == 3 and isinstance(kind, int)), found)
    return found


def pieces_of(proto: bytes) -> list[str]:
    """The pieces of a serialized model by id, or what can be read of a broken one."""
    found: list[str] = []
    try:
        for field, value in _fields(proto):
            if field == 1 and isinstance(value, bytes):
                text = next((part for number, part in _fields(value) if number == 1), b"")
                found.append(text.decode("utf-8", "replace") if isinstance(text, bytes) else "")
    except IndexError:
        pass
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message.

    Raises: IndexError if the message is cut off.
    """
    place = 0
    while place < len(data):
        key, place = _read_varint(data, place)
        kind = key & 7
        if kind in (0, 2):
            value, place = _read_varint(data, place)
            if kind == 2:
                yield key >> 3, data[place : place + value]
                place += value
            else:
                yield key >> 3, value
        else:
            place += 8 if kind == 1 else 4


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """A whole number, and the place after it."""
    value = shift = 0
    while data[place] > 0x7F:
        value |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | data[place] << shift, place + 1
