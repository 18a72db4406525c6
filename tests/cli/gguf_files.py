# SPDX-License-Identifier: BSD-3-Clause
"""GGUF files for tests, and what their blocks stand for: numpy's arithmetic, none of ours.

A tensor is (type, shape, bytes), its shape row-major as numpy has it.
"""
import struct

import numpy as np

NUMBER = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q4_K": 12, "Q5_K": 13,
          "Q6_K": 14, "BF16": 30}
BLOCK = {"Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34),
         "Q4_K": (256, 144), "Q5_K": (256, 176), "Q6_K": (256, 210)}
U32, I32, FLOAT, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(v):
    """A type and its bytes: (type, number) as told, or by what it is."""
    if isinstance(v, tuple):
        return struct.pack("<I", v[0]) + v[1]
    if isinstance(v, bool):
        return struct.pack("<I?", BOOL, v)
    if isinstance(v, int):
        return struct.pack("<II", U32, v)
    if isinstance(v, float):
        return struct.pack("<If", FLOAT, v)
    if isinstance(v, (str, bytes)):
        return struct.pack("<I", STRING) + text(v)
    if v and isinstance(v[0], int):
        return struct.pack("<IIQ", ARRAY, I32, len(v)) + struct.pack(f"<{len(v)}i", *v)
    return struct.pack("<IIQ", ARRAY, STRING, len(v)) + b"".join(text(t) for t in v)


def entry(name, kind, shape, offset):
    number = NUMBER.get(kind, kind)
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), number, offset)


def build(keys, tensors, version=3, alignment=32, change=None):
    """The bytes of a file. `change(entries)` may alter the list of (name, type, shape, offset)."""
    entries, data = [], b""
    for name, (kind, shape, raw) in tensors.items():
        data += b"\0" * (-len(data) % alignment)
        entries.append([name, kind, shape, len(data)])
        data += raw
    if change:
        change(entries)
    head = b"GGUF" + struct.pack("<IQQ", version, len(entries), len(keys))
    head += b"".join(text(k) + value(v) for k, v in (keys.items() if isinstance(keys, dict) else keys))
    head += b"".join(entry(*e) for e in entries)
    return head + b"\0" * (-len(head) % alignment) + data + b"\0" * (-len(data) % alignment)


def half(raw):
    return np.frombuffer(raw, "<f2").astype(np.float32)


def random_blocks(kind, n, rng):
    """Bytes of n values: any bits, with scales that are ordinary numbers."""
    size, width = BLOCK[kind]
    blocks = rng.integers(0, 256, (n // size, width), np.uint8)
    scale = rng.uniform(-0.02, 0.02, (n // size, 2)).astype("<f2").view(np.uint8)
    if kind == "Q6_K":
        blocks[:, 208:] = scale[:, :2]
    else:
        n_scales = 4 if kind in ("Q4_1", "Q5_1", "Q4_K", "Q5_K") else 2
        blocks[:, :n_scales] = scale[:, :n_scales]
    return blocks.tobytes()


def nibbles(raw):
    """16 bytes a block: low halves, then high ones."""
    return np.concatenate([raw & 15, raw >> 4], axis=-1)


def six_bits(raw):
    """Scales and minima of eight parts, from 12 bytes a block, bit by bit."""
    n = len(raw)
    low, least, both = raw[:, :4], raw[:, 4:8], raw[:, 8:]
    scales = np.concatenate([low % 64, both % 16 + 16 * (low // 64)], axis=1)
    minima = np.concatenate([least % 64, both // 16 + 16 * (least // 64)], axis=1)
    return scales.reshape(n, 8, 1).astype(np.float32), minima.reshape(n, 8, 1).astype(np.float32)


def decode(kind, raw, shape):
    """The float32 values that bytes of a type stand for."""
    if kind == "F32":
        return np.frombuffer(raw, "<f4").reshape(shape)
    if kind == "F16":
        return half(raw).reshape(shape)
    if kind == "BF16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    b = np.frombuffer(raw, np.uint8).reshape(-1, BLOCK[kind][1])
    f = np.float32
    if kind in ("Q4_K", "Q5_K"):
        d, e = half(b[:, :2].tobytes()).reshape(-1, 1, 1), half(b[:, 2:4].tobytes()).reshape(-1, 1, 1)
        scales, minima = six_bits(b[:, 4:16])
        low = b[:, -128:].reshape(-1, 4, 1, 32)
        q = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 8, 32)
        if kind == "Q5_K":
            bits = np.unpackbits(b[:, 16:48].reshape(-1, 32, 1), axis=2, bitorder="little")
            q = q + 16 * bits.transpose(0, 2, 1)
        return ((d * scales) * q.astype(f) - e * minima).reshape(shape)
    if kind == "Q6_K":
        low, high = b[:, :128].reshape(-1, 2, 64), b[:, 128:192].reshape(-1, 2, 1, 32)
        q = nibbles(low).reshape(-1, 2, 4, 32)
        q = q + 16 * (high >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1) & 3)
        scales = b[:, 192:208].view(np.int8).astype(f).reshape(-1, 16, 1)
        d = half(b[:, 208:].tobytes()).reshape(-1, 1, 1)
        return ((d * scales) * (q.astype(np.int32) - 32).reshape(-1, 16, 16).astype(f)).reshape(shape)
    d = half(b[:, :2].tobytes()).reshape(-1, 1)
    if kind == "Q8_0":
        return (d * b[:, 2:].view(np.int8).astype(f)).reshape(shape)
    q = nibbles(b[:, -16:]).astype(np.int32)
    if kind in ("Q5_0", "Q5_1"):
        q = q + 16 * np.unpackbits(b[:, -20:-16], axis=1, bitorder="little")
    if kind.endswith("_0"):
        return (d * (q - (8 if kind == "Q4_0" else 16)).astype(f)).reshape(shape)
    return (d * q.astype(f) + half(b[:, 2:4].tobytes()).reshape(-1, 1)).reshape(shape)


def encode(kind, values):
    """Values of an F type as bytes; those of BF16 must be such."""
    if kind == "F32":
        return values.astype("<f4").tobytes()
    if kind == "F16":
        return values.astype("<f2").tobytes()
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
