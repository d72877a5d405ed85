"""The installed modules that a shipped function imports and that a slot may preload, listed in the function's text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sparksweep_trainer.slot.import_scan import ImportScan, ModuleText
from sparksweep_trainer.slot.preloadable import PRELOADABLE

_SETTERS = ("environ", "putenv", "unsetenv", "load_dotenv")
_MOST = 200


def imports_to_preload(
    imported: Iterable[str],
    *,
    mentioned: Collection[str],
    archive: Mapping[str, tuple[str | None, str, list[str] | None]],
) -> list[str]:
    """Return the modules that are preloaded by default, by dotted names; attributes of modules may be among them.

    None if the code may set variables of the environment, which the modules may read when they are imported.

    Args:
        imported: modules that the function's code or its pickle imports.
        mentioned: names that the code mentions.
        archive: the user's own modules that go with the function, as `sparksweep._module_archive.install` takes them.
    """

    def find(name: str) -> ModuleText | None:
        entry = archive.get(name)
        return None if entry is None else ModuleText(entry[0] or "", entry[2] is not None)

    # Byte code does not tell whether a variable is read or written.
    if not set(_SETTERS).isdisjoint(mentioned):
        return []
    scan = ImportScan(find)
    scan.mention(*mentioned)
    try:
        for name in imported:
            scan.add(name)
        names = scan.imports()
    except RecursionError:
        return []
    if scan.sets_environment:
        return []
    # tf.keras is an attribute, which byte code mentions without a word of tf.
    if "tensorflow" in names and "keras" in mentioned:
        names.append("tensorflow.keras")
    return sorted(name for name in names if name.partition(".")[0] in PRELOADABLE)[:_MOST]
