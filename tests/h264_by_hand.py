"""H.264 frames written by hand: baseline profile, IDR slices of I_PCM macroblocks (ITU-T H.264)."""

from __future__ import annotations

import base64
import struct
from typing import List


class Bits:
    """A bit string, and Exp-Golomb codes (section 9.1)."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, width: int, value: int) -> Bits:
        self.text += format(value, f"0{width}b")
        return self

    def ue(self, *values: int) -> Bits:
        for value in values:
            code = format(value + 1, "b")
            self.text += "0" * (len(code) - 1) + code
        return self

    def align(self) -> Bits:
        self.text += "0" * (-len(self.text) % 8)
        return self

    def bytes(self) -> bytes:
        return int(self.text, 2).to_bytes(len(self.text) // 8, "big") if self.text else b""


def unit(head: int, bits: Bits) -> bytes:
    """A NAL unit with its stop bit and emulation prevention (section 7.4.1)."""
    raw, found, zeros = bits.u(1, 1).align().bytes(), bytearray([head]), 0
    for byte in raw:
        if zeros >= 2 and byte <= 3:
            found.append(3)
            zeros = 0
        found.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(found)


def parameters(width: int, height: int) -> List[bytes]:
    """Sequence and picture parameter sets (sections 7.3.2.1, 7.3.2.2)."""
    sequence = Bits().u(8, 66).u(8, 0xC0).u(8, 40).ue(0, 0, 2, 1).u(1, 0)
    sequence.ue(width // 16 - 1, height // 16 - 1).u(1, 1).u(1, 1).u(1, 0).u(1, 0)
    picture = Bits().ue(0, 0).u(2, 0).ue(0, 0, 0).u(3, 0).ue(0, 0, 0).u(3, 0)
    return [unit(0x67, sequence), unit(0x68, picture)]


def frame(width: int, height: int, number: int, grey: int = 90) -> List[bytes]:
    """The NAL units of a grey frame."""
    bits = Bits().ue(0, 7, 0).u(4, 0).ue(number % 2).u(2, 0).ue(0)
    for _ in range(width // 16 * (height // 16)):
        bits.ue(25).align()
        bits.text += format(grey, "08b") * 256 + format(128, "08b") * 128
    return [*parameters(width, height), unit(0x65, bits)]


def sprop(width: int, height: int) -> str:
    """The parameter sets as the SDP has them (RFC 6184, section 8.1)."""
    return ",".join(base64.b64encode(p).decode() for p in parameters(width, height))


def payloads(units: List[bytes]) -> List[bytes]:
    """RTP payloads (RFC 6184, sections 5.6 and 5.8)."""
    found = []
    for one in units:
        if len(one) <= 1200:
            found.append(one)
            continue
        parts = [one[i : i + 1200] for i in range(1, len(one), 1200)]
        for i, part in enumerate(parts):
            edge = (0x80 if i == 0 else 0) | (0x40 if i == len(parts) - 1 else 0)
            found.append(struct.pack("BB", (one[0] & 0xE0) | 28, edge | (one[0] & 31)) + part)
    return found
