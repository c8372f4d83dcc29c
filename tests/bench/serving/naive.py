"""The naive server: plain grpcio, a thread pool, each text tokenised and run alone on one thread; the same proto.

`python -m tests.bench.serving.naive GRAPH PROVIDER TOKENIZER VERSION` with the labels as JSON on stdin prints its port and serves until stdin closes.
"""

import json
import sys
from concurrent import futures
from typing import Any, Final

import grpc
import numpy as np
from tokenizers import Tokenizer

from shared.cores import usable_cores
from shared.stubs.inference.v1 import inference_pb2 as pb
from shared.stubs.inference.v1 import inference_pb2_grpc
from tests.bench.serving.providers import open_session

WORKERS: Final = 10  # as grpcio's own examples have it


class Servicer(inference_pb2_grpc.InferenceServiceServicer):
    """Classify, and nothing else."""

    def __init__(self, graph: str, provider: str, tokenizer: str, version: str, labels: list[str]) -> None:
        self._session = open_session(graph, provider, runs=usable_cores(), threads=1)
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._version, self._labels = version, labels

    def Classify(self, request: pb.ClassifyRequest, context: Any) -> pb.ClassifyResponse:
        """Answer text by text."""
        results = [self._answer(text, request.top_k or len(self._labels)) for text in request.texts]
        return pb.ClassifyResponse(model_version=self._version, results=results)

    def _answer(self, text: str, top_k: int) -> pb.ClassifyResult:
        encoding = self._tokenizer.encode(text)
        arrays = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        feeds = {
            name: np.array([ids], dtype=np.int64) for name, ids in arrays.items() if name in self._inputs
        }
        (logits,) = self._session.run(["logits"], feeds)[0]
        weights = np.exp(logits - logits.max())
        scores = weights / weights.sum()
        order = np.argsort(-scores)[:top_k]
        labels = [
            pb.LabelScore(label=self._labels[i], score=float(scores[i]), is_given=i == order[0])
            for i in order
        ]
        return pb.ClassifyResult(classification=pb.Classification(labels=labels, window_count=1))


def main(graph: str, provider: str, tokenizer: str, version: str) -> None:
    """Serve until stdin closes."""
    labels = json.loads(sys.stdin.readline())
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS))
    servicer = Servicer(graph, provider, tokenizer, version, labels)
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main(*sys.argv[1:])
