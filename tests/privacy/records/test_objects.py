"""Objects as they go: in parts, whole or not at all, in a folder and in a store that speaks S3."""

from __future__ import annotations

import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from imagint_privacy.errors import KeyDestroyedError, StorageUnavailableError
from imagint_privacy.records import objects
from imagint_privacy.records.objects import Objects

MIB = 1 << 20
PART, READ = objects._PART, objects._READ


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *given: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.answer_with(self.bucket.get)

    def do_HEAD(self) -> None:
        self.answer_with(self.bucket.get)

    def do_PUT(self) -> None:
        self.answer_with(self.bucket.put)

    def do_POST(self) -> None:
        self.answer_with(self.bucket.post)

    def do_DELETE(self) -> None:
        self.answer_with(self.bucket.delete)

    def answer_with(self, call: Callable[..., tuple[int, dict[str, str], bytes]]) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.bucket.silent.is_set():
            self.bucket.woken.wait(20)
        if self.bucket.fail(f"{self.command} {self.path}"):
            refused: tuple[int, dict[str, str], bytes] = (403, {}, b"")
            status, headers, content = refused
        else:
            status, headers, content = call(parts.path, query, body, self.headers.get("range"))
        self.bucket.requests.append((self.command, max(len(body), len(content))))
        with suppress(OSError):
            self.send_response(status)
            for name, value in ({"content-length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)


class Bucket:
    """A small true S3 on loopback: what our store's client asks of one, in memory, with a note of every request."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.requests: list[tuple[str, int]] = []
        self.fail: Callable[[str], bool] = lambda request: False
        self.silent = threading.Event()
        self.woken = threading.Event()
        handler = type("Handler", (_Handler,), {"bucket": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.woken.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def get(self, path: str, query: dict[str, str], body: bytes, span: str | None) -> tuple[int, dict[str, str], bytes]:
        if path not in self.objects:
            return 404, {}, b""
        content = self.objects[path]
        named = {"etag": '"e"', "last-modified": "Mon, 23 Nov 2026 12:00:00 GMT"}
        if span is None:
            return 200, named, content
        begin, end = (int(text) for text in re.findall(r"\d+", span))
        if begin >= len(content):
            return 416, {}, b""
        piece = content[begin : end + 1]
        return 206, {**named, "content-range": f"bytes {begin}-{begin + len(piece) - 1}/{len(content)}"}, piece

    def put(self, path: str, query: dict[str, str], body: bytes, _: str | None) -> tuple[int, dict[str, str], bytes]:
        if "uploadId" in query:
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.objects[path] = body
        return 200, {"etag": '"e"'}, b""

    def post(self, path: str, query: dict[str, str], body: bytes, _: str | None) -> tuple[int, dict[str, str], bytes]:
        if "delete" in query:
            keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
            for key in keys:
                self.objects.pop(f"{path.rstrip('/')}/{key}", None)
            deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            return 200, {}, f"<DeleteResult>{deleted}</DeleteResult>".encode()
        if "uploads" in query:
            name = f"upload-{len(self.requests)}"
            self.uploads[name] = {}
            inner = f"<Bucket>b</Bucket><Key>k</Key><UploadId>{name}</UploadId>"
            return 200, {}, f"<InitiateMultipartUploadResult>{inner}</InitiateMultipartUploadResult>".encode()
        parts = self.uploads.pop(query["uploadId"])
        self.objects[path] = b"".join(parts[number] for number in sorted(parts))
        return 200, {}, b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"

    def delete(self, path: str, query: dict[str, str], body: bytes, _: str | None) -> tuple[int, dict[str, str], bytes]:
        if "uploadId" in query:
            self.uploads.pop(query["uploadId"], None)
        else:
            self.objects.pop(path, None)
        return 204, {}, b""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    made = Bucket()
    host, port = made.server.server_address[:2]
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host!s}:{port}",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "here",
    }.items():
        monkeypatch.setenv(name, value)
    opened: Any = vars(objects)["from_url"]

    def open_plainly(url: str, **options: Any) -> Any:
        if "client_options" in options:
            options["client_options"] = {**options["client_options"], "allow_http": True}
        return opened(url, **options)

    monkeypatch.setattr(objects, "from_url", open_plainly)
    yield made
    made.close()


@pytest.fixture(params=["a folder", "a bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> Objects:
    return Objects("s3://bucket/tenant" if request.param == "a bucket" else f"file://{tmp_path}/objects")


@pytest.fixture
def folder(tmp_path: Path) -> Objects:
    return Objects(f"file://{tmp_path}/objects")


def pieces(mib: int, failure: BaseException | None = None) -> Iterator[bytes]:
    for number in range(mib):
        yield bytes((number,)) * MIB
    if failure is not None:
        raise failure


def files(store: Objects) -> list[str]:
    assert store.folder is not None
    return [path.name for path in store.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("mib", [0, 1, 7, 8, 9, 20])
def test_what_is_written_in_pieces_is_read_in_parts(store: Objects, mib: int) -> None:
    store.put_stream("a/b", pieces(mib))
    parts = store.get_stream("a/b")
    assert parts is not None
    read = list(parts)
    assert b"".join(read) == b"".join(pieces(mib)) == store.get("a/b")
    assert max(map(len, read), default=0) <= READ


def test_what_is_not_there_is_none_and_what_went_away_is_unavailable(store: Objects) -> None:
    assert store.get_stream("a/b") is None
    store.put_stream("a/b", pieces(9))
    parts = store.get_stream("a/b")
    assert parts is not None
    next(parts)
    store.delete(["a/b"])
    with pytest.raises(StorageUnavailableError):
        next(parts)


@pytest.mark.parametrize("mib", [3, 20], ids=["in its only part", "in a later part"])
@pytest.mark.parametrize(
    "failure", [KeyDestroyedError("gone"), OSError("theirs"), ValueError("theirs"), KeyboardInterrupt()]
)
def test_an_upload_whose_content_fails_leaves_no_object_and_nothing_else(
    store: Objects, bucket: Bucket, mib: int, failure: BaseException
) -> None:
    with pytest.raises(type(failure)) as raised:
        store.put_stream("a/b", pieces(mib, failure))
    assert raised.value is failure, "and its failure is told as it is"
    assert store.get("a/b") is None
    assert (bucket.objects, bucket.uploads) == ({}, {})
    assert store.folder is None or files(store) == []


def test_an_object_that_is_written_again_is_the_old_one_until_the_new_one_is_whole(store: Objects) -> None:
    store.put("a/b", b"old")
    with pytest.raises(KeyDestroyedError):
        store.put_stream("a/b", pieces(20, KeyDestroyedError("gone")))
    assert store.get("a/b") == b"old"
    store.put_stream("a/b", pieces(20))
    assert store.get("a/b") == b"".join(pieces(20))


@pytest.mark.parametrize("number", [2, 3], ids=["the second part", "the end"])
def test_a_store_that_refuses_a_part_or_the_end_has_no_object(bucket: Bucket, number: int) -> None:
    store = Objects("s3://bucket/tenant")
    refused = {2: "partNumber=2", 3: "POST /bucket/tenant/a/b?uploadId"}[number]
    bucket.fail = lambda request: refused in request
    with pytest.raises(StorageUnavailableError) as raised:
        store.put_stream("a/b", pieces(20))
    assert str(raised.value).startswith("the object store does not write")
    assert bucket.objects == {}


def test_a_full_disk_leaves_no_object_and_nothing_else(folder: Objects) -> None:
    """A limit on the size of a file stands for the disk: the same failure, of the same call."""
    folder.put_stream("a/b", pieces(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12 * MIB, hard))
    try:
        for name in ("a/b", "a/c"):
            with pytest.raises(StorageUnavailableError):
                folder.put_stream(name, pieces(30))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(folder) == ["b"]
    assert folder.get("a/b") == bytes(MIB)


def test_every_request_is_bounded_and_a_small_object_takes_one_each_way(bucket: Bucket) -> None:
    store = Objects("s3://bucket/tenant")
    store.put_stream("a/b", pieces(1))
    list(store.get_stream("a/b") or ())
    assert [method for method, _ in bucket.requests] == ["PUT", "GET"]
    bucket.requests.clear()
    store.put_stream("a/c", pieces(30))
    list(store.get_stream("a/c") or ())
    sizes = {method: [size for m, size in bucket.requests if m == method] for method in ("PUT", "GET")}
    assert sorted(sizes["PUT"]) == [6 * MIB, PART, PART, PART]
    assert sizes["GET"] == [READ] * 7 + [2 * MIB]


def test_reading_that_is_given_up_asks_for_nothing_more(bucket: Bucket) -> None:
    store = Objects("s3://bucket/tenant")
    store.put_stream("a/b", pieces(30))
    bucket.requests.clear()
    parts = store.get_stream("a/b")
    assert parts is not None
    next(parts)
    next(parts)
    parts.close()  # type: ignore[attr-defined]
    assert [method for method, _ in bucket.requests] == ["GET", "GET"]


def test_a_store_that_falls_silent_is_given_up_in_time(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_TIMEOUT", timedelta(seconds=0.2))
    monkeypatch.setattr(objects, "_PATIENCE", timedelta(seconds=0.2))
    store = Objects("s3://bucket/tenant")
    store.put_stream("a/b", pieces(9))
    parts = store.get_stream("a/b")
    assert parts is not None
    next(parts)
    bucket.silent.set()
    for call in (lambda: next(parts), lambda: store.get_stream("a/b"), lambda: store.put_stream("a/c", pieces(20))):
        with pytest.raises(StorageUnavailableError):
            call()


def test_an_upload_under_way_is_no_object_but_is_found_and_deleted(folder: Objects) -> None:
    found: list[list[str]] = []

    def looking() -> Iterator[bytes]:
        yield from pieces(12)
        found.extend((folder.list("a"), folder.unfinished("a")))
        yield from pieces(12)

    folder.put_stream("a/b", looking())
    assert found == [[], ["a/b#1"]]
    assert folder.unfinished() == []
    Path(str(folder.folder), "a", "c").mkdir()
    for name in ("b#1", "b#12", "c/d#1", "c/d#x"):
        Path(str(folder.folder), "a", name).touch()
    assert folder.unfinished("a") == ["a/b#1", "a/b#12", "a/c/d#1"]
    folder.delete(["a/c/d"])
    assert folder.unfinished("a") == ["a/b#1", "a/b#12"], "what is left of an object goes with it"
    folder.delete([*folder.unfinished("a"), "a/b#1"])
    assert sorted(files(folder)) == ["b", "d#x"]
    folder.delete(folder.list("a"))
    Path(str(folder.folder), "a", "c").mkdir(parents=True)
    Path(str(folder.folder), "a", "c", "e#1").touch()
    folder.delete(folder.unfinished())
    assert list(Path(str(folder.folder)).iterdir()) == [], "nor do the folders that were named after somebody stay"


def test_a_bucket_has_nothing_unfinished_that_we_could_see(bucket: Bucket) -> None:
    assert Objects("s3://bucket/tenant").unfinished() == []


def test_pieces_are_asked_for_no_faster_than_they_are_taken(folder: Objects) -> None:
    given = []

    def counted() -> Iterator[bytes]:
        for piece in pieces(40):
            given.append(time.monotonic())
            yield piece
            staged = sum(path.stat().st_size for path in Path(str(folder.folder)).rglob("*") if path.is_file())
            assert len(given) * MIB - staged <= (2 + objects._AT_ONCE) * PART

    folder.put_stream("a/b", counted())
    assert len(given) == 40


def test_an_object_is_copied_from_one_store_into_another_part_by_part(bucket: Bucket, folder: Objects) -> None:
    remote = Objects("s3://bucket/tenant")
    remote.put_stream("a/b", pieces(20))
    folder.put_stream("a/b", remote.get_stream("a/b") or ())
    remote.put_stream("a/c", folder.get_stream("a/b") or ())
    assert remote.get("a/c") == b"".join(pieces(20))
