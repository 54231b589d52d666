"""A server on this machine that answers as Hugging Face and Kaggle do, for their own clients."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VERSION = 7


class Handler(BaseHTTPRequestHandler):
    """Serves files of `server.folder` as `user/model`; notes every file that was sent in `server.sent`."""

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.hugging_face(with_body=False)

    def do_GET(self):
        self.hugging_face(with_body=True)

    def hugging_face(self, with_body):
        _, user, model, _, revision, name = self.path.split("/", 5)
        if (user, model) == ("user", "gated"):
            return self.answer(403, {"X-Error-Code": "GatedRepo"})
        if (user, model) == ("user", "broken"):
            return self.answer(501, {})
        if (user, model) != ("user", "model") or revision not in ("main", COMMIT):
            return self.answer(404, {"X-Error-Code": "RepoNotFound"})
        path = Path(self.server.folder, name)
        if not path.is_file():
            return self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        data = path.read_bytes()
        tag = hashlib.sha1(data).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{tag}"', "Content-Length": str(len(data))}
        return self.answer(200, headers, data if with_body else b"", name if with_body else None)

    def do_POST(self):
        """Kaggle's `models.ModelApiService`."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["modelSlug"] == "gated":
            return self.answer(403, {})
        if body["modelSlug"] == "broken":
            return self.answer(501, {})
        if body["modelSlug"] != "model":
            return self.answer(404, {})
        if self.path.endswith("GetModelInstance"):
            data = json.dumps({"versionNumber": VERSION}).encode()
            return self.answer(200, {"Content-Type": "application/json", "Content-Length": str(len(data))}, data)
        assert self.path.endswith("DownloadModelInstanceVersion"), self.path
        path = Path(self.server.folder, body["path"])
        if not path.is_file() or body["versionNumber"] != VERSION:
            return self.answer(404, {})
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        return self.answer(200, headers, path.read_bytes(), body["path"])

    def answer(self, status, headers, data=b"", name=None):
        if name:
            self.server.sent.append(name)
        self.send_response(status)
        for key, value in ({"Content-Length": "0"} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(folder):
    """Gives the server; its address is `server.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder, server.sent = folder, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
