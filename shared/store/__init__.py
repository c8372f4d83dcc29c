"""The model store: immutable objects under keys, and the records that give them meaning.

`port` and its adapters (`folder`, `memory`) know bytes only; `layout` builds every key; `models`, `aliases`, `datasets` and
`cache` are made of those. All of it blocks and may be called from any thread; asyncio code runs it in threads.
"""

from shared.store.opening import open_store

__all__ = ["open_store"]
