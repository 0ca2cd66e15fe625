"""The ring without ROS: whole payloads or none, whoever dies in the middle."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from irl_vla_nodes.payload import TYPES, pack, packed_size, unpack
from irl_vla_nodes.ring import Handle, PayloadExpired, RingReader, RingWriter
from ring_workers import (
    PROCESSES,
    WORDS,
    filled,
    kill,
    reads_forever,
    started,
    word_of,
    writes_forever,
)  # fmt: skip

from irl_vla.types import InputError
from irl_vla_nodes import ring

KILLS = 20


@pytest.fixture()
def writer(tmp_path: Path) -> Any:
    made = RingWriter(tmp_path, "frames", 4, 8 * 1024)
    yield made
    made.close()


def test_what_is_written_is_read(tmp_path: Path, writer: RingWriter) -> None:
    reader = RingReader(tmp_path)
    handles = [writer.write([filled(n, 1000)]) for n in range(4)]
    assert [word_of(reader.read(handle)) for handle in handles] == [0, 1, 2, 3]
    assert len({(handle.slot, handle.generation) for handle in handles}) == 4


def test_a_slot_that_was_overwritten_is_gone_and_the_text_says_so(
    tmp_path: Path, writer: RingWriter
) -> None:
    first = writer.write([filled(0, 10)])
    for number in range(4):
        writer.write([filled(number, 10)])
    with pytest.raises(PayloadExpired, match=r"overwritten.*more slots"):
        RingReader(tmp_path).read(first)


def test_a_payload_that_is_too_large_is_refused(writer: RingWriter) -> None:
    with pytest.raises(ValueError, match="a slot has"):
        writer.write([bytes(writer.payload_bytes + 1)])


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "frames", "", "frames.1-2/../x"])
def test_a_name_from_a_topic_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(PayloadExpired, match="not the name of a ring"):
        RingReader(tmp_path).read(Handle(name, 0, 2))


def test_a_symbolic_link_in_the_folder_is_not_followed(tmp_path: Path, writer: RingWriter) -> None:
    (tmp_path / "frames.1-1").symlink_to(tmp_path / writer.name)
    with pytest.raises(PayloadExpired):
        RingReader(tmp_path).read(Handle("frames.1-1", 0, 2))


def test_the_folder_of_a_ring_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "irl_vla" / "domain7"
    RingWriter(folder, "frames", 2, 100).close()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [0o700] * 2


def link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: folder.chmod(0o770), "may be written by others"),
        (lambda folder: folder.chmod(0o702), "may be written by others"),
        (lambda folder: folder.parent.chmod(0o777), "irl_vla may be written by others"),
        (link, "is a link"),
    ],
    ids=["group", "everybody", "folder above", "link"],
)
def test_a_folder_that_others_can_change_is_refused_by_writer_and_reader(
    tmp_path: Path, spoil: Any, words: str
) -> None:
    folder = tmp_path / "irl_vla" / "domain7"
    writer = RingWriter(folder, "frames", 2, 100)
    handle = writer.write([filled(1, 1)])
    RingReader(folder).read(handle)
    spoil(folder)
    with pytest.raises(InputError, match=rf"^ring folder {folder}: .*{words}.*'ring_folder'"):
        RingWriter(folder, "tokens", 2, 100)
    with pytest.raises(PayloadExpired, match=words):
        RingReader(folder).read(handle)
    writer.close()


@pytest.mark.parametrize("above", [False, True])
def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: bool
) -> None:
    folder = tmp_path / "irl_vla" / "domain7"
    folder.mkdir(parents=True, mode=0o700)
    lstat, strange = os.lstat, folder.parent if above else folder

    def of_another(path: Any, **how: Any) -> os.stat_result:
        found = lstat(path, **how)
        numbers = list(found)
        if Path(path) == strange:
            numbers[stat.ST_UID] = os.geteuid() + 4711
        return os.stat_result(numbers)

    monkeypatch.setattr(os, "lstat", of_another)
    with pytest.raises(InputError, match=rf"{strange} belongs to user {os.geteuid() + 4711}"):
        RingWriter(folder, "frames", 2, 100)
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "x")
    (tmp_path / "file").touch()
    for folder in (tmp_path / "dangling", tmp_path / "file" / "x"):
        with pytest.raises(InputError, match=rf"^ring folder {folder}: cannot be made"):
            RingWriter(folder, "frames", 2, 100)


def test_a_shared_folder_where_nobody_can_rename_others_files_is_no_danger(tmp_path: Path) -> None:
    """/dev/shm and /tmp: everybody writes there, the sticky bit keeps what belongs to others."""
    shared = tmp_path / "shm"
    shared.mkdir()
    shared.chmod(0o1777)
    RingWriter(shared / "irl_vla", "frames", 2, 100).close()


def test_a_payload_that_is_overwritten_while_it_is_copied_is_gone(
    tmp_path: Path, writer: RingWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer comes round between the reader's look at the generation and its copy."""
    handle, real = writer.write([filled(1, 10)]), ring.SLOT

    class Overtaken:
        """The slot's head; after it was first read, the writer laps the reader."""

        def unpack_from(self, content: Any, at: int) -> tuple[Any, ...]:
            found = real.unpack_from(content, at)
            monkeypatch.setattr(ring, "SLOT", real)
            for _ in range(writer.slots):
                writer.write([filled(2, 10)])
            return found

    reader = RingReader(tmp_path)
    assert word_of(reader.read(handle)) == 1
    monkeypatch.setattr(ring, "SLOT", Overtaken())
    with pytest.raises(PayloadExpired, match="overwritten"):
        reader.read(handle)


def test_a_slot_that_does_not_exist_is_gone(tmp_path: Path, writer: RingWriter) -> None:
    with pytest.raises(PayloadExpired, match="no slot 4"):
        RingReader(tmp_path).read(Handle(writer.name, 4, 2))


def test_copying_for_too_long_gives_up(tmp_path: Path, writer: RingWriter) -> None:
    handle = writer.write([filled(1, 10)])
    with pytest.raises(PayloadExpired, match="copying took"):
        RingReader(tmp_path).read(handle, within_s=0.0)


def test_only_the_owner_may_read_the_file(tmp_path: Path, writer: RingWriter) -> None:
    assert stat.S_IMODE((tmp_path / writer.name).stat().st_mode) == 0o600


def test_a_second_writer_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    process = started(writes_forever, tmp_path)
    with pytest.raises(InputError, match=rf"process {process.pid} is writing it"):
        RingWriter(tmp_path, "frames", 2, 100)
    kill(process)
    RingWriter(tmp_path, "frames", 2, 100).close()
    assert not list(tmp_path.glob("frames.*")), "leftovers are cleaned"


def test_memory_that_does_not_suffice_is_a_sentence_with_the_containers_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match=r"needs 8 MiB.*--shm-size="):
        RingWriter(tmp_path, "frames", 4, 2 * 2**20 - 4096)
    assert not list(tmp_path.iterdir()), "nothing half-made stays behind"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
def test_the_memory_is_really_taken_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--shm-size="):
        RingWriter(Path("/dev/shm") / tmp_path.name, "frames", 64, 2**40)
    assert not list((Path("/dev/shm") / tmp_path.name).iterdir())
    (Path("/dev/shm") / tmp_path.name).rmdir()


def test_a_writer_killed_in_the_middle_leaves_whole_payloads_and_a_free_ring(
    tmp_path: Path,
) -> None:
    """Twenty writers die at any moment; what a handle names is whole or gone, the next writer is
    never blocked, and no file stays behind."""
    whole = 0
    for number in range(KILLS):
        queue: Any = PROCESSES.SimpleQueue()
        process = started(writes_forever, tmp_path, queue)
        reader = RingReader(tmp_path)
        until = time.monotonic() + 0.02 + 0.003 * number
        while time.monotonic() < until:
            whole += read_one(reader, queue)
        kill(process)
        while not queue.empty():
            whole += read_one(reader, queue)
        reader.close()
    begin = time.monotonic()
    RingWriter(tmp_path, "frames", 2, 100).close()
    assert time.monotonic() - begin < 1.0
    assert not list(tmp_path.glob("*frames*")) and whole > KILLS


def test_a_reader_killed_in_the_middle_blocks_nobody(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, "frames", 2, WORDS * 8)
    handle = writer.write([filled(7)])
    for _ in range(KILLS):
        process = started(reads_forever, tmp_path, handle)
        kill(process)
        begin = time.monotonic()
        handle = writer.write([filled(7)])
        assert time.monotonic() - begin < 1.0
    writer.close()


def read_one(reader: RingReader, queue: Any) -> int:
    handle, number = queue.get()
    try:
        payload = reader.read(handle, within_s=10.0)
    except PayloadExpired:
        return 0
    assert word_of(payload) == number
    return 1


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(
        st.text("abc_", min_size=1, max_size=5),
        st.sampled_from(sorted(TYPES)).flatmap(
            lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
        ),
        max_size=4,
    )
)
def test_named_arrays_come_back_bit_for_bit(arrays: dict[str, Any]) -> None:
    payload = b"".join(bytes(part) for part in pack(arrays, {"note": "ü", "n": 1.5}))
    assert len(payload) <= packed_size(arrays, 200)
    back, notes = unpack(memoryview(payload))
    assert notes == {"note": "ü", "n": 1.5} and list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype and back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()


def test_objects_are_never_packed_nor_unpacked() -> None:
    with pytest.raises(ValueError, match="is not carried"):
        pack({"a": np.array([object()])}, {})
    index = b'{"arrays": [["a", "object", [1], 0]], "notes": {}}'
    with pytest.raises(ValueError, match="is not carried"):
        unpack(memoryview(len(index).to_bytes(8, "little") + index + bytes(200)))
