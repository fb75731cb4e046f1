"""Runs in a sandbox: starts what was installed, asks it something, and prints the answers as JSON."""

import asyncio
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

GATEWAY, CODE = 8801, 8802
LIMIT = 60


def started(words, **env):
    log = open("/tmp/" + os.path.basename(words[0]) + ".log", "wb")
    return subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, "HOME": "/tmp", **env})


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(Stay, urllib.request.HTTPCookieProcessor())


def status(url, **headers):
    try:
        with OPENER.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except OSError:
        return 0, b""


def waited(url, **headers):
    """Asks until somebody answers; how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT:
        if status(url, **headers)[0] == 200:
            return round(time.monotonic() - began, 2)
        time.sleep(0.05)
    raise SystemExit("nobody answers at " + url)


async def cell(kernel):
    url = f"ws://127.0.0.1:{GATEWAY}/api/kernels/{kernel}/channels"
    socket = await websocket_connect(HTTPRequest(url, headers={"Authorization": "token secret"}))
    content = {"code": "print(6 * 7)", "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    header = {"msg_id": "one", "msg_type": "execute_request", "username": "", "session": "", "version": "5.3"}
    await socket.write_message(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "content": content, "buffers": []}))
    while True:
        message = json.loads(await asyncio.wait_for(socket.read_message(), LIMIT))
        if message["header"]["msg_type"] == "stream" and message["parent_header"].get("msg_id") == "one":
            return message["content"]["text"].strip()


def main():
    gateway = started(
        ["/opt/staithe/jupyter/bin/jupyter", "kernelgateway", "--KernelGatewayApp.ip=127.0.0.1", f"--KernelGatewayApp.port={GATEWAY}"],
        KG_AUTH_TOKEN="secret",
    )
    code = started(
        ["/opt/staithe/vscode/bin/code-server-oss", "--host", "127.0.0.1", "--port", str(CODE), "--connection-token", "secret",
         "--server-data-dir", "/tmp/code", "--accept-server-license-terms", "--telemetry-level", "off"],
    )
    token = {"Authorization": "token secret"}
    api = f"http://127.0.0.1:{GATEWAY}/api"
    answers = {"gateway_seconds": waited(api, **token)}
    made = urllib.request.Request(api + "/kernels", data=b'{"name": "python3"}', headers=token, method="POST")
    with urllib.request.urlopen(made, timeout=LIMIT) as answer:
        kernel = json.load(answer)["id"]
    answers["cell"] = asyncio.run(cell(kernel))
    page = f"http://127.0.0.1:{CODE}/"
    answers["code_seconds"] = waited(page + "version")
    answers["commit"] = status(page + "version")[1].decode().strip()
    answers["without_token"] = status(page)[0]
    status(page + "?tkn=secret")  # gives the cookie
    answers["page"], body = status(page)
    answers["workbench"] = b"workbench" in body
    for process in (gateway, code):
        process.terminate()
    print(json.dumps(answers))


main()
