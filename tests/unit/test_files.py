"""What a folder of evidence does beyond the contract: durable, exclusive, and no link followed."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from burst.adapters.local import folder_store
from burst.domain.basics import errors


@pytest.fixture
def store(tmp_path: Path) -> folder_store.FolderStore:
    return folder_store.FolderStore.create(tmp_path / "runs", "m10_20260221T020923Z_abc123")


def test_a_new_run_gets_a_folder_and_its_parents(tmp_path: Path) -> None:
    store = folder_store.FolderStore.create(tmp_path / "a" / "runs", "m10_1")

    assert store.folder == tmp_path / "a" / "runs" / "m10_1"
    assert store.folder.is_dir()


def test_a_leftover_folder_is_a_conflict_and_stays_as_it_was(tmp_path: Path) -> None:
    folder_store.FolderStore.create(tmp_path, "m10_1").put_once("plan.json", b"{}")

    with pytest.raises(
        errors.Conflict, match=r"exists; nothing was overwritten.*--execution-id, .*: burst resume .*m10_1"
    ):
        folder_store.FolderStore.create(tmp_path, "m10_1")
    assert [path.name for path in (tmp_path / "m10_1").iterdir()] == ["plan.json"]


def test_a_file_where_the_runs_should_go_is_no_leftover_run(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")

    with pytest.raises(errors.Unavailable, match="runs cannot be made: File exists; name a folder"):
        folder_store.FolderStore.create(tmp_path / "runs", "m10_1")


def test_of_two_controllers_with_one_id_exactly_one_gets_the_folder(tmp_path: Path) -> None:
    def create(_: int) -> bool:
        try:
            folder_store.FolderStore.create(tmp_path / "runs", "m10_1")
        except errors.Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(16)))

    assert won.count(True) == 1


def test_of_many_writers_of_one_name_exactly_one_wins(store: folder_store.FolderStore) -> None:
    def put(writer: int) -> bool:
        try:
            store.put_once("plan.json", b"%d" % writer)
        except errors.Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(16)))

    assert won.count(True) == 1
    assert store.read("plan.json") == b"%d" % won.index(True)


def test_an_execution_id_cannot_name_another_place(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="no document name"):
        folder_store.FolderStore.create(tmp_path / "runs", "../elsewhere")

    assert list(tmp_path.iterdir()) == []


def test_writing_leaves_nothing_but_the_document(store: folder_store.FolderStore) -> None:
    store.put_once("plan.json", b"{}")
    with pytest.raises(errors.Conflict):
        store.put_once("plan.json", b"[]")

    assert os.listdir(store.folder) == ["plan.json"]


def test_a_crash_before_the_link_leaves_no_document(store: folder_store.FolderStore) -> None:
    script = (
        "import os, pathlib, sys\n"
        "from burst.adapters.local import folder_store\n"
        "os.link = lambda *_: os._exit(9)\n"
        "folder_store.FolderStore(pathlib.Path(sys.argv[1])).put_once('plan.json', b'{}')\n"
    )
    died = subprocess.run([sys.executable, "-c", script, str(store.folder)], check=False)

    assert died.returncode == 9
    assert list(store.names()) == []
    store.put_once("plan.json", b"[]")
    assert store.read("plan.json") == b"[]"


def test_links_folders_pipes_and_hidden_files_are_no_documents(store: folder_store.FolderStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"outside")
    (store.folder / "link.json").symlink_to(tmp_path / "secret")
    (store.folder / "folder.json").mkdir()
    os.mkfifo(store.folder / "pipe.json")
    (store.folder / ".plan.json.1.ab").write_bytes(b"half")
    store.put_once("plan.json", b"{}")

    assert list(store.names()) == ["plan.json"]


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_what_is_no_regular_file_is_never_read(store: folder_store.FolderStore, tmp_path: Path, kind: str) -> None:
    path = store.folder / "metrics.json"
    (tmp_path / "secret").write_bytes(b"outside")
    if kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)

    with pytest.raises(errors.EvidenceUnknown, match=r"metrics\.json"):
        store.read("metrics.json")
    with pytest.raises(errors.Conflict):
        store.put_once("metrics.json", b"{}")


def test_a_document_beyond_all_reason_is_not_read(store: folder_store.FolderStore) -> None:
    with (store.folder / "metrics.json").open("wb") as file:
        file.truncate(folder_store.LARGEST_BYTES + 1)

    with pytest.raises(errors.EvidenceUnknown, match="larger than"):
        store.read("metrics.json")


def test_a_folder_that_is_not_there_holds_incomplete_evidence(tmp_path: Path) -> None:
    store = folder_store.FolderStore(tmp_path / "nowhere")

    with pytest.raises(errors.EvidenceIncomplete, match="no folder"):
        store.names()
    with pytest.raises(errors.EvidenceIncomplete):
        store.read("plan.json")
    with pytest.raises(errors.Unavailable, match="cannot be written"):
        store.put_once("plan.json", b"{}")


_ASK_AS_NOBODY = """
import os, pathlib, sys
from burst.adapters.local import folder_store
from burst.domain.basics import errors
folder = pathlib.Path(sys.argv[1])
if os.geteuid() == 0:  # root may read everything
    os.chdir(folder)
    os.setuid(65534)
    folder = pathlib.Path(".")
store = folder_store.FolderStore(folder)
try:
    print(store.names() if sys.argv[2] == "names" else store.read("plan.json"))
except errors.EvidenceUnknown as exc:
    print("unknown:", exc)
"""


@pytest.mark.parametrize("question", ["names", "read"])
def test_what_may_not_be_read_cannot_be_told(store: folder_store.FolderStore, question: str) -> None:
    store.put_once("plan.json", b"{}")
    (store.folder if question == "names" else store.folder / "plan.json").chmod(0)

    asked = subprocess.run(
        [sys.executable, "-c", _ASK_AS_NOBODY, str(store.folder), question], check=True, capture_output=True, text=True
    )
    store.folder.chmod(0o700)

    assert asked.stdout.startswith("unknown:")
    assert "Permission denied" in asked.stdout
