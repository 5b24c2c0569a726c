"""Loopback servers that misbehave on command, and a small COCO and model hub to serve from them."""

import gzip
import hashlib
import json
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MB = 1 << 20


@dataclass
class Seen:
    """One request and what was sent for it."""

    method: str
    path: str
    headers: dict
    status: int = 0
    sent: int = 0


@dataclass
class Site:
    """Files by path, and for each path a queue of faults, one used up by each GET.

    A fault is a function of the handler and the file's bytes that sends an answer of its own; a route is
    one that stays.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Callable]] = field(default_factory=lambda: defaultdict(list))
    routes: dict[str, Callable] = field(default_factory=dict)
    headers: dict[str, dict] = field(default_factory=lambda: defaultdict(dict))
    zipped: set[str] = field(default_factory=set)  # paths that are compressed for who accepts it
    ranges: bool = True
    requests: list[Seen] = field(default_factory=list)
    url: str = ""

    def seen(self, path: str, method: str = "GET") -> list[Seen]:
        return [r for r in self.requests if r.path.partition("?")[0] == path and r.method == method]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.record = Seen(self.command, self.path, dict(self.headers))
        self.site.requests.append(self.record)
        if self.command == "GET" and self.site.faults[path]:
            self.site.faults[path].pop(0)(self, self.site.files.get(path, b""))
        elif path in self.site.routes:
            self.site.routes[path](self, self.site.files.get(path, b""))
        elif path in self.site.files:
            self.serve(self.site.files[path])
        else:
            self.reply(404, b"no such file", **self.site.headers[path])

    do_HEAD = do_GET

    def serve(self, body: bytes, *, only: int | None = None):
        """The file, or the part of it that Range asks for; only the first `only` bytes of that."""
        etag = hashlib.md5(body).hexdigest()
        extra = {"ETag": f'"{etag}"', **self.site.headers[self.path.partition("?")[0]]}
        if self.path.partition("?")[0] in self.site.zipped and "gzip" in self.headers.get("Accept-Encoding", ""):
            self.reply(200, gzip.compress(body), only=only, **extra, Content_Encoding="gzip")
            return
        wanted = self.headers.get("Range")
        if self.site.ranges and wanted and self.headers.get("If-Range", extra["ETag"]) == extra["ETag"]:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            span = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.reply(206, body[start:], only=only, **{**extra, "Content-Range": span})
        else:
            self.reply(200, body, only=only, **extra)

    def reply(self, status: int, body: bytes, *, only: int | None = None, **headers):
        self.record.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:only])
            self.record.sent = len(body[:only])


def status(code: int, **headers) -> Callable:
    """Answer with a bare status."""
    return lambda handler, body: handler.reply(code, b"", **headers)


def other(content: bytes) -> Callable:
    """Answer 200 with other bytes."""
    return lambda handler, body: handler.reply(200, content)


def truncate(count: int, then: Callable = lambda handler: None) -> Callable:
    """Promise what was asked for, send `count` bytes of it, and close the connection after what `then` does."""

    def fault(handler, body):
        handler.serve(body, only=count)
        handler.close_connection = True
        handler.wfile.flush()
        then(handler)

    return fault


def reset(count: int) -> Callable:
    """Send `count` bytes, then reset the connection."""

    def then(handler):
        time.sleep(0.05)  # let the bytes arrive: a reset discards what the receiver has not read
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    return truncate(count, then)


def stall(count: int, seconds: float) -> Callable:
    """Send `count` bytes, then nothing."""
    return truncate(count, lambda handler: time.sleep(seconds))


def model_hub(repo_id: str, revision: str, files: dict[str, bytes], large: int = 10 * MB) -> Site:
    """One repository as huggingface.co serves it in 2026: an Express server, whose own weak ETags hold `/`, lists the
    files; small ones are redirected (307) to its cache, those in LFS (302) to storage on another host. LFS holds
    safetensors, .bin and what is larger than `large`."""
    site = Site()
    commit = {"X-Repo-Commit": revision}
    tree = []
    for name, body in files.items():
        sha256 = hashlib.sha256(body).hexdigest()
        blob_id = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        lfs = name.endswith((".safetensors", ".bin")) or len(body) > large
        etag = sha256 if lfs else blob_id
        linked = {"X-Linked-ETag": f'"{etag}"', "X-Linked-Size": str(len(body)), **commit}
        entry = {"type": "file", "path": name, "size": len(body), "oid": blob_id}
        path = f"/{repo_id}/resolve/{revision}/{name}"
        if lfs:
            stored = {"oid": sha256, "size": len(body), "pointerSize": 134}
            tree.append({**entry, "lfs": stored, "xetHash": sha256[::-1]})
            site.files[f"/cdn/{sha256}"] = body
            token = f'<{{url}}/api/models/{repo_id}/xet-read-token/{revision}>; rel="xet-auth"'
            linked |= {"X-Xet-Hash": sha256[::-1], "Link": token}
            site.routes[path] = _redirect(site, 302, f"{{other}}/cdn/{sha256}?Expires=1&Signature=a~b", linked)
        else:
            tree.append(entry)
            kept = f"/api/resolve-cache/models/{repo_id}/{revision}/{name}"
            site.files[kept] = body
            site.headers[kept] = {"ETag": f'"{blob_id}"', "Vary": "Origin, Accept-Encoding", **commit}
            site.zipped.add(kept)
            site.routes[path] = _redirect(site, 307, f"{kept}?%2F{name}&etag=%22{blob_id}%22", linked)
    tree.append({"type": "directory", "path": "onnx", "oid": "0" * 40})
    listing = f"/api/models/{repo_id}/tree/{revision}"
    site.files[listing] = json.dumps(tree).encode()
    site.headers[listing] = {"Content-Type": "application/json; charset=utf-8", **EXPRESS}
    site.zipped.add(listing)
    return site


# What the hub's own server adds to each answer.
EXPRESS = {
    "X-Powered-By": "huggingface-moon",
    "ETag": 'W/"8c-6WrD95JiXZalWmyM/8wvo3ELvyY"',
    "RateLimit": '"api";r=499;t=120',
    "RateLimit-Policy": '"fixed window";"api";q=500;w=300',
}


def _redirect(site: Site, code: int, target: str, headers: dict) -> Callable:
    def answer(handler, body):
        # another host name, as the hub's storage has: no access token may go there
        places = {"url": site.url, "other": site.url.replace("127.0.0.1", "localhost")}
        filled = {name: value.format_map(places) for name, value in headers.items()}
        text = b"Temporary Redirect"
        handler.reply(code, text, **{**EXPRESS, **filled, "Location": target.format_map(places)})

    return answer


def refusal(code: int, error: str = "", **headers) -> Callable:
    """Answer as the hub does where it refuses: an Express body, the reason in X-Error-Code."""
    extra = {"X-Error-Code": error, "X-Error-Message": "Sorry"} if error else {}
    return lambda handler, body: handler.reply(code, b"Invalid username or password.", **EXPRESS | extra | headers)


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """`site` on a free port of 127.0.0.1; its address is in site.url."""

    class Bound(Handler):
        pass

    Bound.site = site
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    server.handle_error = lambda *args: None  # broken connections are what we are here for
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
