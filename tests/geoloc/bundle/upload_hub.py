"""A Hugging Face Hub on this machine that takes uploads, as its documented API has them."""

import base64
import hashlib
import json
from urllib.parse import unquote, urlsplit

from tests.geoloc.bundle.publisher import Publisher, StaticHandler


class UploadHub(Publisher):
    """One model repository; `store` are its files. `refuse` is a status for every request."""

    def __init__(self, repository, refuse=0):
        super().__init__(None, UploadHandler)
        self.repository, self.refuse = repository, refuse
        self.store, self.created, self.commits, self.damage = {}, [], [], ""


class UploadHandler(StaticHandler):
    def do_POST(self):
        server, path = self.server, urlsplit(self.path).path
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if server.refuse:
            return self.answer({"error": "Invalid username or password."}, server.refuse)
        if path == "/api/repos/create":
            server.created.append(json.loads(body))
            return self.answer({"url": f"{server.url}/{server.repository}"})
        if path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if "/preupload/" in path:
            rows = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(body)["files"]
            ]
            return self.answer({"files": rows})
        if "/commit/" in path:
            return self.commit([json.loads(line) for line in body.splitlines()])
        return self.answer({"error": f"unknown {path}"}, 404)

    def commit(self, lines):
        server = self.server
        server.commits.append(lines[0]["value"]["summary"])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "deletedFile":
                server.store.pop(value["path"])
            else:
                content = base64.b64decode(value["content"])
                damaged = value["path"] == server.damage
                server.store[value["path"]] = content[:-1] if damaged else content
        url = f"{server.url}/{server.repository}/commit/1"
        self.answer({"commitUrl": url, "commitOid": "1" * 40, "success": True})

    def do_GET(self):
        server, path = self.server, unquote(urlsplit(self.path).path)
        if server.refuse:
            return self.answer({"error": "Invalid username or password."}, server.refuse)
        if f"/api/models/{server.repository}/tree" in path:
            return self.answer([{"type": "file", "oid": "1", **row} for row in self.rows("path")])
        siblings = [{"blobId": "1", **row} for row in self.rows("rfilename")]
        return self.answer({"id": server.repository, "sha": "1" * 40, "siblings": siblings})

    def rows(self, key):
        return [
            {key: name, "size": len(content), "hash": hashlib.sha1(content).hexdigest()}
            for name, content in self.server.store.items()
        ]

    def answer(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
