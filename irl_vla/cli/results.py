"""A folder of results that belong together: whole, or as it was before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from irl_vla.drafts import DraftFolder, refuse_unwritable
from irl_vla.types import InputError


def refuse_target(out: Path, inputs: Iterable[Path]) -> None:
    """For a file of results: that its folder can be written, and that it is none of the command's
    own inputs. Raises InputError."""
    if out.is_dir():
        raise InputError(f"{out}: is a folder, expected the name of a file. Choose another --out")
    for path in inputs:
        if path.exists() and out.exists() and out.samefile(path):
            raise InputError(
                f"{out}: is what is read here and would be overwritten. Choose another --out"
            )
    refuse_unwritable(out.parent)


class Results:
    """Files are made beside the results and moved over when they are whole: an error or a crash
    leaves older results as they were. A file system that refuses becomes an InputError.

    names: of all files that may come out; those of an earlier run that this one did not make go
    """

    def __init__(self, target: Path, names: Sequence[str]) -> None:
        self.target, self.names = target, tuple(names)

    def __enter__(self) -> Results:
        try:
            self.target.mkdir(parents=True, exist_ok=True)
            for name in self.names:
                if (self.target / name).is_dir():
                    raise InputError(
                        f"{self.target / name}: is a folder, expected a file of an earlier run "
                        "or nothing. Remove it, or choose another --out"
                    )
            self._draft = DraftFolder(self.target)
            self.folder = self._draft.path
        except OSError as error:
            raise self._refused(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        try:
            if kind is None:
                self._publish()
        except OSError as refused:
            raise self._refused(refused) from None
        finally:
            self._draft.close()
        if isinstance(error, OSError):
            raise self._refused(error) from None

    def _publish(self) -> None:
        """What an earlier run left and this one did not make goes: results belong together."""
        for name in self.names:
            if (self.folder / name).exists():
                (self.folder / name).replace(self.target / name)
            else:
                (self.target / name).unlink(missing_ok=True)

    def _refused(self, error: OSError) -> InputError:
        where = error.filename or self.target
        return InputError(f"{where}: {error.strerror}. Make room there, or choose another --out")
