"""A client of the sandbox API with nothing but Python's standard library."""

import errno
import http.client
import io
import json
import socket
import threading
import time
import traceback
import urllib.parse
import uuid
import zipfile


class Sandbox:
    """Where the sandbox answers, and the key."""

    def __init__(self, address, key, directory, home):
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.key = key
        self.dir = directory
        self.home = home

    def request(self, method, path, body=None, headers=None, key=True, patience=60):
        """Status, headers (lower case) and body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=patience)
        try:
            sent = dict(headers or {})
            if key is True:
                sent["X-Session-API-Key"] = self.key
            elif key is not None:
                sent["X-Session-API-Key"] = key
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return response.status, told, response.read()
        finally:
            connection.close()

    def json(self, method, path, value=None, **more):
        """Status and the body's JSON."""
        body = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json"}
        status, _, told = self.request(method, path, body, headers, **more)
        return status, json.loads(told)

    def post(self, path, value, **more):
        return self.json("POST", path, value, **more)

    def act(self, name, args, patience=60, **more):
        """The observation of an action that is taken."""
        action = dict({"action": name, "args": args}, **more)
        status, told = self.post("/execute_action", {"action": action}, patience=patience)
        assert status == 200, (status, told)
        return told

    def run(self, command, timeout=30, patience=60, **args):
        told = self.act(
            "run", dict({"command": command, "blocking": True}, **args), patience, timeout=timeout
        )
        return told

    def says(self, command, **more):
        """What a command prints that ends well."""
        told = self.run(command, **more)
        assert told["observation"] == "run", told
        assert told["extras"]["exit_code"] == 0, told
        return told["content"]

    def upload(self, name, content, destination, recursive=None, field="file"):
        """Status and answer to a file that is sent as a form."""
        query = {"destination": destination}
        if recursive is not None:
            query["recursive"] = recursive
        kind, body = form([(field, name, content)])
        path = "/upload_file?" + urllib.parse.urlencode(query)
        status, _, told = self.request("POST", path, body, {"Content-Type": kind})
        return status, json.loads(told)

    def download(self, path):
        """Status, headers and body of a folder as zip."""
        return self.request("GET", "/download_files?" + urllib.parse.urlencode({"path": path}))

    def names(self, path):
        status, told = self.post("/list_files", {"path": path})
        assert status == 200, (status, told)
        return told

    def raw(self, sent, patience=20):
        """Everything that comes back for these bytes; the connection is closed by whoever wants."""
        with socket.create_connection((self.host, self.port), timeout=patience) as connection:
            got = b""
            try:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while True:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    got += piece
            except OSError as error:
                # Whoever has enough closes, and that may be seen anywhere in here.
                if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
                    raise
            return got


def form(parts, boundary=None):
    """The content type and body of a form. A part is (field, file's name or None, content)."""
    boundary = boundary or uuid.uuid4().hex
    body = b""
    for field, name, content in parts:
        extra = "" if name is None else f'; filename="{name}"'
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{extra}\r\n'.encode()
        body += b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def archive(entries):
    """A zip. An entry is (name, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries:
            packed.writestr(name, content)
    return out.getvalue()


def entries(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def eventually(what, is_so, patience=60):
    """Waits until something is true; its value."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        value = is_so()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def at_once(*calls):
    """Calls them in threads of their own, begun one after the other; what each gave."""
    results = [None] * len(calls)

    def keep(at, call):
        results[at] = call()

    threads = [threading.Thread(target=keep, args=(at, call)) for at, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def play(cases, *given):
    """Runs all cases; how many failed."""
    failed = 0
    for case in cases:
        began = time.monotonic()
        try:
            case(*given)
            print(f"ok   {case.__name__} ({time.monotonic() - began:.2f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {case.__name__}\n{traceback.format_exc()}", flush=True)
    print(f"{len(cases)} cases, {failed} failed", flush=True)
    return failed
