"""The heavy parts of models, sessions and tokenizers, each made once for all versions in memory that name the same file.

Versions with a frozen encoder of one base have one encoder file and one tokenizer file, so fifty of them cost little more memory
than one. A part goes when the last version that uses it does.
"""

from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from shared.runtime.execution import Execution
from shared.runtime.session import GraphSession
from shared.runtime.tokenizer import TextTokenizer
from shared.store.manifest import Digest, Graph, StoredFile

OpenFile = Callable[[StoredFile], Path]


class Parts:
    """Makes parts, or finds them. One thread at a time."""

    def __init__(self, open_file: OpenFile, *, text_threads: int = 1) -> None:
        """`text_threads`: threads that can encode at once without a first-time cost."""
        self._open_file = open_file
        self._text_threads = text_threads
        self._sessions: WeakValueDictionary[tuple[Graph, Execution], GraphSession] = WeakValueDictionary()
        self._tokenizers: WeakValueDictionary[Digest, TextTokenizer] = WeakValueDictionary()

    def session(self, graph: Graph, execution: Execution) -> GraphSession:
        """Return the session of a graph that is run so. Raises ModelNotLoadableError, and what `open_file` raises."""
        session = self._sessions.get((graph, execution))
        if session is None:
            session = GraphSession(graph, self._open_file(graph.file), execution)
            self._sessions[graph, execution] = session
        return session

    def tokenizer(self, file: StoredFile) -> TextTokenizer:
        """Return the tokenizer of a file. Raises ModelNotLoadableError, and what `open_file` raises."""
        tokenizer = self._tokenizers.get(file.digest)
        if tokenizer is None:
            tokenizer = TextTokenizer(self._open_file(file), ready=self._text_threads)
            self._tokenizers[file.digest] = tokenizer
        return tokenizer
