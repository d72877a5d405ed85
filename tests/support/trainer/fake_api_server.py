"""A small API server for tests: TrialBatches and pods over real HTTP, with versions, watches and faults on order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sparksweep_trainer.kubernetes.api_client import Endpoint

Json = dict[str, Any]
Fault = Callable[["Handler"], bool]
"""Answers a request itself and returns True, or returns False to leave it to the server."""


class FakeApiServer:
    """Objects by the path of their collection and their name. Watches end with `close` or `break_watches`."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.objects: dict[str, dict[str, Json]] = {}
        self.events: list[tuple[int, str, Json]] = []
        self.snapshots: dict[str, list[Json]] = {}
        self.version = 100
        self.oldest = 0
        self.requests: list[tuple[str, str, Json]] = []
        self.faults: list[Fault] = []
        self.epoch = 0
        self.closing = False
        handler = type("BoundHandler", (Handler,), {"api": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(server=f"http://127.0.0.1:{self.http.server_address[1]}")

    def close(self) -> None:
        with self.lock:
            self.closing = True
            self.lock.notify_all()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    # ------------------------------------------------------------------ what a test does

    def put(self, collection: str, item: Json, *, kind: str | None = None) -> Json:
        """Create or replace an object, as another client would."""
        with self.lock:
            name = item["metadata"]["name"]
            objects = self.objects.setdefault(collection, {})
            self.version += 1
            stored: Json = json.loads(json.dumps(item))
            stored["metadata"].setdefault("uid", f"uid-{name}")
            stored["metadata"]["resourceVersion"] = str(self.version)
            event = kind or ("MODIFIED" if name in objects else "ADDED")
            objects[name] = stored
            self.note(event, stored, collection)
            return stored

    def remove(self, collection: str, name: str) -> None:
        with self.lock:
            item = self.objects[collection].pop(name)
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            self.note("DELETED", item, collection)

    def get(self, collection: str, name: str) -> Json:
        with self.lock:
            copy: Json = json.loads(json.dumps(self.objects[collection][name]))
            return copy

    def note(self, kind: str, item: Json, collection: str) -> None:
        copy = json.loads(json.dumps({"type": kind, "object": item}))
        self.events.append((self.version, collection, copy))
        self.lock.notify_all()

    def break_watches(self) -> None:
        """End every watch in the middle of an event."""
        with self.lock:
            self.epoch += 1
            self.lock.notify_all()

    def compact(self) -> None:
        """Forget all events, so that a watch from an earlier version has expired."""
        with self.lock:
            self.oldest = self.version
            self.events.clear()
            self.snapshots.clear()

    def sent(self, method: str, ending: str = "") -> list[Json]:
        """Return the bodies of the requests so far with this method and this end of the path."""
        with self.lock:
            return [
                body
                for verb, path, body in self.requests
                if verb == method and path.endswith(ending)
            ]


class Handler(BaseHTTPRequestHandler):
    api: FakeApiServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.serve()

    def do_PATCH(self) -> None:
        self.serve()

    def do_DELETE(self) -> None:
        self.serve()

    def serve(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self.body: Json = json.loads(self.rfile.read(length)) if length else {}
        parts = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.target = parts.path
        with self.api.lock:
            self.api.requests.append((self.command, self.target, self.body))
            faults = [*self.api.faults]
        for fault in faults:
            if fault(self):
                return
        self.answer_as_usual()

    def answer_as_usual(self) -> None:
        if "watch" in self.query:
            self.watch()
            return
        collection, name = self.resource()
        with self.api.lock:
            objects = self.api.objects.get(collection, {})
            if not name and self.command == "GET":
                status, answer = self.page([i for i in objects.values() if self.selected(i)])
            elif not name:
                for item in [item for item in objects.values() if self.selected(item)]:
                    self.api.remove(collection, item["metadata"]["name"])
                status, answer = 200, {}
            elif name not in objects:
                status, answer = 404, {"message": f"{name} not found"}
            elif self.command == "DELETE":
                self.api.remove(collection, name)
                status, answer = 200, {}
            elif self.command == "PATCH":
                status, answer = self.patch(collection, objects[name])
            else:
                status, answer = 200, objects[name]
        self.answer(status, answer)

    def page(self, items: list[Json]) -> tuple[int, Json]:
        """Return the page of a list that the query asks for: all pages show the state of the first one."""
        token = self.query.get("continue", "")
        version, _, start = token.partition(":")
        if not token:
            version, start = str(self.api.version), "0"
            self.api.snapshots[version] = json.loads(json.dumps(items))
        elif version not in self.api.snapshots:
            return 410, {"message": "The provided continue parameter is too old"}
        items = self.api.snapshots[version]
        end = int(start) + int(self.query.get("limit") or len(items))
        metadata = {"resourceVersion": version}
        if end < len(items):
            metadata["continue"] = f"{version}:{end}"
        return 200, {"items": items[int(start) : end], "metadata": metadata}

    def patch(self, collection: str, item: Json) -> tuple[int, Json]:
        wanted = self.body.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != item["metadata"]["resourceVersion"]:
            return 409, {"message": "the object has been modified"}
        item["status"] = merged(item.get("status") or {}, self.body["status"])
        return 200, self.api.put(collection, item)

    def watch(self) -> None:
        collection, _ = self.resource()
        after = int(self.query["resourceVersion"])
        api = self.api
        if after < api.oldest:
            self.answer(410, {"message": "too old resource version"})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        with suppress(OSError):
            for event in self.events_after(collection, after):
                self.chunk(json.dumps(event).encode() + b"\n")
            if not api.closing:
                self.chunk(b'{"type": "MODIFIED", "object": {"meta')
        self.close_connection = True

    def events_after(self, collection: str, after: int) -> Iterator[Json]:
        api = self.api
        epoch = api.epoch
        while True:
            with api.lock:
                new = [e for e in api.events if e[0] > after and e[1] == collection]
                if not new:
                    api.lock.wait(0.5)
                if api.closing or api.epoch != epoch:
                    return
            for version, _, event in new:
                after = version
                if self.selected(event["object"]):
                    yield event

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def selected(self, item: Json) -> bool:
        selector = self.query.get("labelSelector", "")
        labels = item["metadata"].get("labels") or {}
        wanted = [part.partition("=") for part in selector.split(",") if part]
        return all(labels.get(key) == value for key, _, value in wanted)

    def resource(self) -> tuple[str, str]:
        """Return the collection and the name in the path."""
        path = self.target.removesuffix("/status")
        for word in ("/trialbatches/", "/pods/"):
            if word in path:
                head, _, name = path.partition(word)
                return head + word[:-1], name
        return path, ""

    def answer(self, status: int, answer: Json, **headers: str) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def merged(value: Any, patch: Any) -> Any:
    """Merge a patch into an object (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), item)
    return result


def eventually(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.005)
