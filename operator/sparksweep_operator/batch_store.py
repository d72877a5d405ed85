"""The batches of one running Experiment: a history, fed by a list of all of them and by what changes after it.

A changed batch is kept as it arrived until a reconcile asks for the history: however often a driver writes between two
reconciles, its batch is parsed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sparksweep_core.api import TrialBatch, TrialBatchSpec
from sparksweep_core.history import BatchRecord, History
from sparksweep_operator.batch_pages import BatchIdentity, ReadBatch, batch_of_event
from sparksweep_operator.pruned import Pruned

Observer = Callable[[BatchRecord | None, TrialBatch], None]
"""Called with the record of a batch's earlier version, None if there was none, and with its newer version."""


@dataclass(frozen=True, slots=True)
class _Version:
    number: int
    uid: str
    outline: int


class BatchStore:
    """The batches of the Experiment with one UID. Not thread-safe: it belongs to one event loop.

    Until `replace` has been given a list of all batches, `is_complete` is False; changes are noted meanwhile.
    """

    def __init__(self, owner: str) -> None:
        """Start empty.

        Args:
            owner: UID of the Experiment. Batches of other owners are ignored.
        """
        self.owner = owner
        self.is_complete = False
        self.unreadable: dict[str, str] = {}
        """Batches that this version can't read, by name, each with the reason; up to date after `history`."""
        self._history = History()
        self._versions: dict[str, _Version] = {}
        self._changed: dict[str, ReadBatch | tuple[BatchIdentity, bytes]] = {}
        self._pruned: dict[str, Pruned[TrialBatchSpec]] = {}
        self._deleted: set[str] = set()
        self._listed_at = 0

    def __len__(self) -> int:
        """Return the number of batches, those that can't be read among them."""
        return len(self._versions)

    def outline(self, name: str) -> int | None:
        """Return the outline of a batch's newest version; None if it is not known."""
        version = self._versions.get(name)
        return None if version is None else version.outline

    def put_line(self, identity: BatchIdentity, line: bytes) -> bool:
        """Insert or update a batch by a watch's event; return True if it is a newer version."""
        return self._note(identity, (identity, line))

    def put(self, read: ReadBatch, *, written: TrialBatchSpec | None = None) -> bool:
        """Insert or update a batch; return True if it is a newer version.

        Args:
            read: the batch.
            written: the spec that the operator has just written, if this is the answer to that. If the API server has
                dropped fields of it, the history has the batch as it was written.
        """
        name = read.identity.name
        if written is not None and read.batch is not None and self._is_own(read.identity):
            self._pruned.pop(name, None)
            pruned = Pruned.of(written, read.batch.spec)
            if pruned is not None:
                self._pruned[name] = pruned
        return self._note(read.identity, read)

    def forget_pruned(self) -> None:
        """Take batches as they are stored from now on."""
        self._pruned.clear()

    def remove(self, identity: BatchIdentity) -> bool:
        """Remove a deleted batch; return True if it was known."""
        if not self.is_complete:
            self._deleted.add(identity.uid)
        version = self._versions.get(identity.name)
        if version is None or version.uid != identity.uid:
            return False
        name = identity.name
        del self._versions[name]
        self._changed.pop(name, None)
        self._pruned.pop(name, None)
        self.unreadable.pop(name, None)
        self._history.remove(name)
        return True

    def replace(self, batches: Iterable[ReadBatch], history: History, *, version: int) -> None:
        """Take a list of all batches, except for what has changed since.

        Args:
            batches: the listed batches; their models are not needed.
            history: the history of those that can be read. It belongs to the store from now on.
            version: resourceVersion of the list. What changed later stays, listed or not.
        """
        later = {name: noted for name, noted in self._versions.items() if noted.number > version}
        self._versions, self._history, self.unreadable = {}, history, {}
        for read in batches:
            identity = read.identity
            if identity.uid in self._deleted or self.owner not in identity.owners:
                history.remove(identity.name)
                continue
            self._versions[identity.name] = _version_of(identity)
            if read.problem:
                self.unreadable[identity.name] = read.problem
        self._versions |= later
        self._changed = {name: self._changed[name] for name in later if name in self._changed}
        self._deleted.clear()
        self._listed_at = version
        self.is_complete = True

    def history(self, observe: Observer | None = None) -> History:
        """Return the history after all changes.

        Args:
            observe: called for each batch that has changed since the list, or is new since.
        """
        changed, self._changed = self._changed, {}
        for item in changed.values():
            self._store(item if isinstance(item, ReadBatch) else batch_of_event(*item), observe)
        return self._history

    def _note(self, identity: BatchIdentity, item: ReadBatch | tuple[BatchIdentity, bytes]) -> bool:
        if not self._is_own(identity):
            return False
        known = self._versions.get(identity.name)
        # A change from before the list, of a batch that is not listed: it was deleted, and the event of that follows.
        newest = self._listed_at if known is None else known.number
        if identity.version <= newest:
            return False
        self._versions[identity.name] = _version_of(identity)
        self._changed[identity.name] = item
        return True

    def _is_own(self, identity: BatchIdentity) -> bool:
        return self.owner in identity.owners

    def _store(self, read: ReadBatch, observe: Observer | None) -> None:
        name = read.identity.name
        if read.batch is None:
            # The earlier version stays in the history: the trials in it have not vanished.
            self.unreadable[name] = read.problem
            return
        self.unreadable.pop(name, None)
        batch = read.batch
        pruned = self._pruned.get(name)
        if pruned is not None:
            batch = batch.model_copy(update={"spec": pruned.restored(batch.spec)})
        if observe is not None:
            before = self._history.get(name)
            is_same = before is not None and before.uid == read.identity.uid
            observe(before if is_same else None, batch)
        self._history.put(batch)


def _version_of(identity: BatchIdentity) -> _Version:
    return _Version(identity.version, identity.uid, identity.outline)
