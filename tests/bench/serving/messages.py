"""Requests made before the clock starts, and answers looked over at hardly any cost while it runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.bench.serving.frames import encode_message

CLASSIFY: Final = "/tagsmith.inference.v1.InferenceService/Classify"
TOP_K: Final = 1  # of every call, to every server: the best label
_RESULT: Final = 0x12  # tag of ClassifyResponse.results
_CLASSIFICATION: Final = 0x0A  # tag of ClassifyResult.classification


@dataclass(frozen=True, slots=True)
class Request:
    """One call, ready to send."""

    message: bytes
    text_count: int
    first_text: int  # its place in the corpus
    starts: tuple[bytes, ...]  # the answer begins with one of these: the version that it may name


def make_request(model: str, texts: Sequence[str], first_text: int, versions: Sequence[str]) -> Request:
    """Encode a call of `model`; `versions` may answer it."""
    message = pb.ClassifyRequest(model=model, texts=texts, top_k=TOP_K).SerializeToString()
    starts = tuple(pb.ClassifyResponse(model_version=each).SerializeToString() for each in versions)
    return Request(encode_message(message), len(texts), first_text, starts)


def is_whole(request: Request, body: bytes) -> bool:
    """Whether an answer names a version that may answer, and holds labels for every text."""
    return body.startswith(request.starts) and _count_classifications(body) == request.text_count


def best_labels(body: bytes) -> list[str]:
    """Return the best label of each text of an answer."""
    response = pb.ClassifyResponse.FromString(body)
    return [result.classification.labels[0].label for result in response.results]


def _count_classifications(body: bytes) -> int:
    count, at, end = 0, 0, len(body)
    while at < end:
        tag, length, at = body[at], body[at + 1], at + 2
        if length > 127:
            length, shift = length & 0x7F, 7
            while True:
                more, at = body[at], at + 1
                length |= (more & 0x7F) << shift
                shift += 7
                if more < 128:
                    break
        if tag == _RESULT and length and body[at] == _CLASSIFICATION:
            count += 1
        at += length
    return count
