"""A server of the Model Context Protocol by the standard library alone; argv[1] says how it misbehaves."""

import json
import os
import sys

mode = sys.argv[1] if len(sys.argv) > 1 else "plain"
notes = os.environ.get("NOTES")
grown = []


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def note(text):
    if notes:
        with open(notes, "a") as file:
            file.write(text + "\n")


def tool(name, **more):
    return {"name": name, "description": "Does " + name, "inputSchema": {"type": "object"}, **more}


def tools(cursor):
    if mode == "paged":
        page = int(cursor or 0)
        listed = [tool("page%d" % page)]
        return {"tools": listed, "nextCursor": str(page + 1)} if page < 4 else {"tools": listed}
    if mode == "endless":
        return {"tools": [], "nextCursor": "again"}
    if mode == "many":
        wide = {"type": "object", "properties": {"p%d" % n: {"type": "string"} for n in range(5000)}}
        listed = [tool("many%03d" % n, description="x" * 20_000) for n in range(200)]
        return {"tools": listed + [{"name": "wide", "inputSchema": wide}]}
    names = ["echo", "env", "rich", "fails", "refuses", "crash", "hang", "big", "huge", "grow"]
    return {"tools": [tool(name) for name in names + grown]}


def text(said, **more):
    return {"content": [{"type": "text", "text": said}], **more}


def call(name, arguments):
    if name == "echo":
        return text(json.dumps(arguments, sort_keys=True))
    if name == "env":
        return text(os.environ.get("TOKEN", "none"))
    if name == "rich":
        picture = {"type": "image", "data": "iVBORw0=", "mimeType": "image/png"}
        link = {"type": "resource_link", "uri": "file:///a", "name": "a"}
        return {"content": [picture, link], "structuredContent": {"n": 1}}
    if name == "fails":
        return text("it went wrong", isError=True)
    if name == "crash":
        print("the last words of a server with " + os.environ.get("TOKEN", ""), file=sys.stderr, flush=True)
        os._exit(9)
    if name == "big":
        return text("y" * 1_000_000)
    if name == "huge":
        return text("z" * 9_000_000)
    if name == "grow":
        grown.append("grown")
        send({"method": "notifications/tools/list_changed"})
        return text("grown")
    return text("called " + name)


def answer(message):
    method, params = message.get("method"), message.get("params") or {}
    if method == "notifications/cancelled":
        note("cancelled")
    if "id" not in message or method is None:
        return
    reply = {"id": message["id"]}
    if method == "initialize":
        if mode == "stderr":
            print("no such key: " + os.environ.get("TOKEN", ""), file=sys.stderr, flush=True)
            sys.exit(4)
        reply["result"] = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "test", "version": "1"},
        }
    elif method == "tools/list":
        reply["result"] = tools(params.get("cursor"))
    elif method == "tools/call" and params["name"] == "hang":
        note("hangs")
        return
    elif method == "tools/call" and params["name"] == "refuses":
        reply["error"] = {"code": -32602, "message": "no such argument " + os.environ.get("TOKEN", "")}
    elif method == "tools/call":
        reply["result"] = call(params["name"], params.get("arguments"))
    else:
        reply["error"] = {"code": -32601, "message": "no such method"}
    send(reply)


note("begins")
if mode == "flood":
    while True:
        sys.stdout.write("f" * 65536)
if mode in ("garbage", "chatty"):
    for line in ["Server v1 is ready!", "\x00\xff", "{not JSON}", "[1, 2", '"a text"', "{}", "[]"]:
        print(line, flush=True)
for line in sys.stdin:
    if mode == "garbage":
        break
    if mode != "silent":
        answer(json.loads(line))
