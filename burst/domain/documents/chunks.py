"""Chunks: a document as numbered log lines, and the document again from whatever a log stream made of them.

A log delivers late, twice, out of order, cut in pieces and between other lines, or not at all. So every line says of
which document it is a part, where it belongs, and the SHA-256 of the whole, and carries a checksum of its own; nothing
is believed that does not fit. The result is the exact document, or words that name the missing chunks.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from burst.domain.basics import canonical, errors, wording

LONGEST_LINE = 8192
"""Bytes of a line, its end not counted. A log driver cuts lines of more than 16 KiB."""
LARGEST_DOCUMENT = 16 << 20
MARKER = "burst:answer:1:"

_ID = r"[A-Za-z0-9_-]{1,100}"
_NUMBER = r"[1-9][0-9]{0,8}"
# No character of a chunk is one that sentences are made of: a line with a space in it is never taken for a piece.
_PIECE = re.compile(r"[A-Za-z0-9+/=:_-]*;?")
_CHUNK = re.compile(
    rf"{MARKER}(?P<id>{_ID}):(?P<index>{_NUMBER}):(?P<count>{_NUMBER}):(?P<size>{_NUMBER}):(?P<sha256>[0-9a-f]{{64}})"
    r":(?P<part>[A-Za-z0-9+/]+={0,2}):(?P<crc>[0-9a-f]{8});"
)
_HEADER_ROOM = 320
"""More than the longest header, checksum and end of a line take."""
_PART_BYTES = (LONGEST_LINE - _HEADER_ROOM) // 4 * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """The size and digest of a document, as each of its chunks gives them."""

    count: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The chunks heard of a log stream so far. `hear` adds more of the stream."""

    parts: Mapping[tuple[str, _Whole], Mapping[int, bytes]] = field(default_factory=dict)
    spoiled: int = 0
    """Chunks that were whole in form and failed their checksum."""
    pending: str = ""
    """The beginning of a chunk whose end has not come yet."""

    def hear(self, messages: Iterable[str]) -> "Heard":
        """With these log events, in the order in which the stream gave them."""
        heard = self
        for message in messages:
            heard = heard._hear(message)
        return heard

    def _hear(self, message: str) -> "Heard":
        text = self.pending + message if self.pending and _PIECE.fullmatch(message) else message
        if text is message and self.pending and MARKER not in message:
            return self  # another line came between
        heard = self
        for chunk in _CHUNK.finditer(text):
            heard = heard._take(chunk)
        return replace(heard, pending=_pending_piece(text))

    def _take(self, chunk: "re.Match[str]") -> "Heard":
        try:
            part = base64.b64decode(chunk["part"], validate=True)
        except binascii.Error:
            part = b""
        index, whole = int(chunk["index"]), _whole(chunk)
        if chunk["crc"] != _checksum(chunk["id"], index, part) or index > whole.count:
            return replace(self, spoiled=self.spoiled + 1)
        key = (chunk["id"], whole)
        return replace(self, parts={**self.parts, key: {**self.parts.get(key, {}), index: part}})

    def document(self, answer_id: str) -> bytes | None:
        """The document, None while a part of it is missing (`missing` says which).

        Raises `errors.EvidenceCorrupt` where the stream holds two of this id, or one that does not match its digest.
        """
        documents = [(whole, parts) for (name, whole), parts in self.parts.items() if name == answer_id]
        if len(documents) > 1:
            raise errors.EvidenceCorrupt(f"the log holds {len(documents)} different documents named {answer_id}")
        if not documents or len(documents[0][1]) < documents[0][0].count:
            return None
        ((whole, parts),) = documents
        content = b"".join(parts[index] for index in sorted(parts))
        if (len(content), canonical.digest(content)) != (whole.size, whole.sha256):
            raise errors.EvidenceCorrupt(f"the parts of {answer_id} in the log do not make the document they name")
        return content

    def missing(self, answer_id: str) -> str:
        """The chunks of a document that were not heard, in words; empty where none is missing."""
        spoiled = f"; {wording.format_count(self.spoiled, 'chunk')} came damaged" if self.spoiled else ""
        heard = next(((whole, parts) for (name, whole), parts in self.parts.items() if name == answer_id), None)
        if heard is None:
            return f"no chunk of {answer_id} is in the log{spoiled}"
        whole, parts = heard
        absent = [str(index) for index in range(1, whole.count + 1) if index not in parts]
        if not absent:
            return ""
        named = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        return f"of {answer_id} the log has {len(parts)} of {whole.count} chunks; missing: {named}{spoiled}"


def lines(answer_id: str, content: bytes) -> Sequence[str]:
    """The log lines of a document, none longer than `LONGEST_LINE` bytes.

    Raises ValueError for an id no line could carry, and for a document that is empty or larger than
    `LARGEST_DOCUMENT`.
    """
    if not re.fullmatch(_ID, answer_id):
        raise ValueError(f"{answer_id!r} cannot name an answer: use 1 to 100 letters, digits, - and _")
    if not 0 < len(content) <= LARGEST_DOCUMENT:
        raise ValueError(f"an answer of {len(content)} bytes; allowed: 1 to {LARGEST_DOCUMENT}")
    parts = [content[begin : begin + _PART_BYTES] for begin in range(0, len(content), _PART_BYTES)]
    about = f"{len(parts)}:{len(content)}:{canonical.digest(content)}"
    return [
        f"{MARKER}{answer_id}:{index}:{about}:{base64.b64encode(part).decode()}:{_checksum(answer_id, index, part)};"
        for index, part in enumerate(parts, start=1)
    ]


def _checksum(answer_id: str, index: int, part: bytes) -> str:
    return f"{zlib.crc32(f'{answer_id}:{index}:'.encode() + part):08x}"


def _whole(chunk: "re.Match[str]") -> _Whole:
    return _Whole(count=int(chunk["count"]), size=int(chunk["size"]), sha256=chunk["sha256"])


def _pending_piece(text: str) -> str:
    """The end of the text that may be the beginning of a chunk; empty where none may be."""
    begin = text.rfind(MARKER)
    if begin >= 0:
        tail = text[begin:]
        return tail if len(tail) <= LONGEST_LINE and _PIECE.fullmatch(tail) and not tail.endswith(";") else ""
    return next((text[-length:] for length in range(len(MARKER) - 1, 0, -1) if MARKER.startswith(text[-length:])), "")
