"""Cases of the sandbox API, written from its description alone (reference §8, §4.3, §5).

    cases.py first ADDRESS KEY DIRECTORY HOME     all but those that need a restart
    cases.py again ADDRESS KEY DIRECTORY HOME     after a restart on the same disk
    cases.py program PATH                         the command line
"""

import json
import subprocess
import sys
import time

import client
from client import Sandbox, archive, at_once, entries, eventually, form

FIRST, AGAIN, PROGRAM = [], [], []


def first(case):
    FIRST.append(case)
    return case


def again(case):
    AGAIN.append(case)
    return case


def program(case):
    PROGRAM.append(case)
    return case


# Without a key, and with a wrong one.


@first
def alive_needs_no_key(s):
    assert s.json("GET", "/alive", key=None) == (200, {"status": "ok"})


@first
def server_info_needs_no_key_and_has_its_shape(s):
    status, told = s.json("GET", "/server_info", key=None)
    assert status == 200
    assert told["uptime"] >= 0 and told["idle_time"] >= 0
    resources = told["resources"]
    assert set(resources) >= {"cpu_percent", "memory", "disk", "io"}
    assert {"rss", "vms", "percent"} <= set(resources["memory"])
    assert {"total", "used", "free", "percent"} <= set(resources["disk"])
    assert {"read_bytes", "write_bytes"} <= set(resources["io"])
    assert resources["disk"]["total"] > 0 and resources["memory"]["rss"] > 0


@first
def uptime_grows(s):
    before = s.json("GET", "/server_info", key=None)[1]["uptime"]
    assert eventually("later", lambda: s.json("GET", "/server_info")[1]["uptime"] > before)


@first
def idle_time_starts_anew_with_an_action(s):
    eventually("idle", lambda: s.json("GET", "/server_info")[1]["idle_time"] > 2)
    s.says("true")
    assert s.json("GET", "/server_info")[1]["idle_time"] < 1.5


def refused(told):
    assert (told[0], json.loads(told[2])) == (403, {"detail": "Invalid API Key"}), told


@first
def every_other_endpoint_needs_the_key(s):
    for method, path in [
        ("POST", "/execute_action"),
        ("POST", "/upload_file?destination=/tmp"),
        ("GET", "/download_files?path=/tmp"),
        ("POST", "/list_files"),
        ("GET", "/vscode/connection_token"),
        ("POST", "/update_mcp_server"),
    ]:
        refused(s.request(method, path, b"{}", key=None))


@first
def a_wrong_key_opens_nothing(s):
    for key in ["", "x", s.key + "x", s.key[:-1], s.key.upper() + "!", "ä".encode().decode("latin-1")]:
        refused(s.request("POST", "/list_files", b"{}", key=key))


@first
def a_refused_action_is_not_carried_out(s):
    action = {"action": {"action": "run", "args": {"command": f"touch {s.dir}/burglar"}}}
    refused(s.request("POST", "/execute_action", json.dumps(action).encode(), key="wrong"))
    assert "burglar" not in s.names(None)


@first
def the_key_is_not_in_the_environment_of_commands(s):
    assert s.key not in s.says("env")
    assert s.says("echo \"[$SESSION_API_KEY]\"") == "[]"


@first
def the_key_is_not_in_any_processs_environment_or_command_line(s):
    # The question itself must not name it: it is written to a file from its bytes, and counted from there.
    octal = "".join("\\%03o" % byte for byte in s.key.encode())
    read = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\000' '\\n'"
    told = s.run(f"printf '{octal}\\n' > sought; {read} | grep -c -F -f sought; rm sought")
    assert told["content"].strip() == "0", told["content"]


# Running commands.


@first
def a_command_prints_and_ends(s):
    told = s.run("echo hello")
    assert told["observation"] == "run"
    assert told["content"] == "hello"
    assert told["extras"]["exit_code"] == 0 and told["extras"]["command"] == "echo hello"
    assert told["success"] is True
    assert told["message"] == "Command `echo hello` executed with exit code 0."


@first
def metadata_tells_the_shell(s):
    metadata = s.run("true")["extras"]["metadata"]
    assert metadata["exit_code"] == 0 and metadata["working_dir"] == s.dir
    assert set(metadata) >= {
        "exit_code", "pid", "username", "hostname", "working_dir", "py_interpreter_path", "prefix", "suffix",
    }
    assert "completed with exit code 0" in metadata["suffix"]


@first
def an_exit_code_is_told(s):
    told = s.run("(exit 42)")
    assert told["extras"]["exit_code"] == 42 and told["success"] is False
    assert told["extras"]["metadata"]["exit_code"] == 42


@first
def an_unknown_command_is_127(s):
    told = s.run("there_is_no_such_program_here")
    assert told["extras"]["exit_code"] == 127
    assert "not found" in told["content"]


@first
def both_streams_are_told_in_order(s):
    assert s.says("echo out; echo err >&2; echo out2") == "out\nerr\nout2"


@first
def a_command_may_have_many_lines(s):
    assert s.says("for i in 1 2 3\ndo\n  echo \"n$i\"\ndone") == "n1\nn2\nn3"


@first
def a_here_document_is_a_command(s):
    assert s.says("cat <<'X'\na $HOME\n  b\nX") == "a $HOME\n  b"


@first
def a_function_stays(s):
    s.says("greet() { echo \"hi $1\"; }")
    assert s.says("greet you") == "hi you"


@first
def the_directory_stays(s):
    s.says("mkdir -p deep/er && cd deep/er")
    assert s.says("pwd") == s.dir + "/deep/er"
    assert s.run("true")["extras"]["metadata"]["working_dir"] == s.dir + "/deep/er"
    s.says(f"cd {s.dir}")


@first
def variables_stay(s):
    s.says("export KEPT=42; PLAIN=7")
    assert s.says("echo $KEPT $PLAIN; env | grep ^KEPT") == "42 7\nKEPT=42"


@first
def any_text_of_unicode_comes_back(s):
    text = "äöü 漢字 🦀 ‮x é"
    assert s.says(f"printf '%s\\n' '{text}'") == text


@first
def bytes_that_are_no_text_are_replaced(s):
    told = s.says("printf 'a\\377b\\n'")
    assert told == "a�b", repr(told)


@first
def no_output_is_empty_content(s):
    assert s.says("true") == ""


@first
def quotes_reach_the_shell_as_they_are(s):
    assert s.says("""echo "a'b" 'c"d' \\\\ `echo e`""") == """a'b c"d \\ e"""


@first
def a_syntax_error_is_an_exit_code_and_the_shell_goes_on(s):
    assert s.run("if then (")["extras"]["exit_code"] != 0
    assert s.says("echo fine") == "fine"


@first
def exit_ends_the_shell_and_the_next_command_has_another(s):
    s.run("exit 3")
    assert s.says("echo back") == "back"


@first
def large_output_is_cut_in_the_middle_and_says_so(s):
    told = s.run("i=0; while [ $i -lt 20000 ]; do echo \"line $i of many\"; i=$((i+1)); done")
    content = told["content"]
    assert told["extras"]["exit_code"] == 0
    assert 20_000 < len(content) < 40_000, len(content)
    assert content.startswith("line 0 of many") and content.rstrip().endswith("line 19999 of many")
    assert "truncated" in content.lower() or "left out" in content.lower() or "[..." in content


@first
def a_hidden_command_is_not_cut_and_says_that_it_is_hidden(s):
    told = s.run("i=0; while [ $i -lt 20000 ]; do echo \"line $i of many\"; i=$((i+1)); done", hidden=True)
    assert told["extras"]["hidden"] is True
    assert len(told["content"].splitlines()) == 20_000


@first
def a_static_command_has_a_shell_of_its_own(s):
    s.says("STATIC=1; mkdir -p aside")
    assert s.says("echo [$STATIC]; pwd; cd /", is_static=True, cwd=s.dir + "/aside") == f"[]\n{s.dir}/aside"
    assert s.says("pwd; echo $STATIC") == f"{s.dir}\n1"


@first
def a_static_command_elsewhere_than_in_a_folder_is_an_error(s):
    told = s.act("run", {"command": "pwd", "is_static": True, "cwd": "/none/such"})
    assert told["observation"] == "error" and "/none/such" in told["content"]


@first
def an_empty_command_has_nothing_to_tell(s):
    told = s.act("run", {"command": ""})
    assert "No previous running command to retrieve logs from" in told["content"]


@first
def input_without_a_program_is_an_error(s):
    told = s.act("run", {"command": "y", "is_input": True})
    assert "No previous running command to interact with" in told["content"]


@first
def a_program_reads_what_is_typed(s):
    told = s.run("printf 'name? '; read NAME; echo \"hello $NAME\"", timeout=1, blocking=False)
    assert told["extras"]["exit_code"] == -1 and "name?" in told["content"], told
    told = s.run("Ann", is_input=True)
    assert told["extras"]["exit_code"] == 0 and "hello Ann" in told["content"], told


@first
def a_hard_limit_answers_and_the_command_goes_on(s):
    began = time.monotonic()
    told = s.run("echo begun; sleep 4; echo ended", timeout=1)
    assert time.monotonic() - began < 3.5
    assert told["extras"]["exit_code"] == -1 and told["content"] == "begun", told
    assert told["success"] is False
    told = s.run("")
    assert told["extras"]["exit_code"] == 0 and "ended" in told["content"], told


@first
def a_limit_may_be_less_than_a_second(s):
    began = time.monotonic()
    assert s.run("sleep 30", timeout=0.2)["extras"]["exit_code"] == -1
    assert time.monotonic() - began < 10
    assert s.run("C-c", is_input=True)["extras"]["exit_code"] == 130


@first
def a_command_that_waits_is_interrupted(s):
    assert s.run("sleep 1000", timeout=1)["extras"]["exit_code"] == -1
    told = s.run("C-c", is_input=True)
    assert told["extras"]["exit_code"] == 130, told
    assert s.says("echo free") == "free"


@first
def a_second_command_is_not_run_while_one_runs(s):
    assert s.run("sleep 1000", timeout=1)["extras"]["exit_code"] == -1
    told = s.run("touch second", timeout=2)
    assert told["extras"]["exit_code"] == -1
    assert "NOT executed" in told["extras"]["metadata"]["suffix"], told
    s.run("C-c", is_input=True)
    assert "second" not in s.names(None)


@first
def silence_answers_a_command_that_is_not_waited_for(s):
    began = time.monotonic()
    told = s.act("run", {"command": "echo now; sleep 1000", "blocking": False}, timeout=50)
    took = time.monotonic() - began
    assert told["extras"]["exit_code"] == -1 and told["content"] == "now"
    # The runner of these cases is told to wait 2 seconds.
    assert 1.5 < took < 20, took
    s.run("C-c", is_input=True)


@first
def a_limit_alone_means_to_wait_for_the_end(s):
    told = s.act("run", {"command": "sleep 4; echo patience"}, timeout=30)
    assert told["content"] == "patience", told


@first
def an_action_of_0_16_gets_the_fields_of_0_16(s):
    args = {
        "command": "echo old", "thought": "", "blocking": True, "keep_prompt": True,
        "hidden": False, "confirmation_state": "confirmed",
    }
    told = s.act("run", args, timeout=20)
    known = {"command_id", "command", "exit_code", "hidden", "interpreter_details"}
    assert set(told["extras"]) == known and told["content"] == "old", told


@first
def an_action_of_0_62_gets_the_fields_of_0_62(s):
    args = {
        "command": "echo new", "is_input": False, "thought": "", "blocking": False, "is_static": False,
        "cwd": None, "hidden": False, "confirmation_state": "confirmed", "security_risk": -1,
    }
    told = s.act("run", args, timeout=20.0)
    assert {"command", "metadata", "hidden"} <= set(told["extras"])
    assert told["extras"]["metadata"]["exit_code"] == 0 and told["content"] == "new"


@first
def the_sender_s_envelope_is_passed_over(s):
    told = s.act(
        "run", {"command": "echo x", "blocking": True}, id=7, source="agent", cause=3, message="m",
        timestamp="2024-12-20T10:00:00.123456", timeout=20,
        tool_call_metadata={"function_name": "execute_bash", "tool_call_id": "1"},
    )
    assert told["content"] == "x" and "id" not in told


@first
def a_background_job_does_not_hold_the_shell(s):
    told = s.run("sleep 5 & echo started", timeout=10)
    assert told["extras"]["exit_code"] == 0 and "started" in told["content"]


@first
def commands_run_with_a_mask_for_the_group(s):
    assert s.says("umask") in ("0002", "002", "0_002")


@first
def git_has_no_pager_and_an_identity_where_it_is(s):
    if s.run("command -v git")["extras"]["exit_code"] != 0:
        assert s.run("git")["extras"]["exit_code"] == 127
        return
    assert s.says("git config --global user.name") != ""
    assert "@" in s.says("git config --global user.email")
    assert s.says("git var GIT_PAGER") in ("cat", "")


# Files.


@first
def written_text_is_read_back(s):
    told = s.act("write", {"path": f"{s.dir}/a.txt", "content": "one\ntwo\nthree\n"})
    assert told["observation"] == "write" and told["extras"]["path"] == f"{s.dir}/a.txt"
    assert told["message"] == f"I wrote to the file {s.dir}/a.txt."
    told = s.act("read", {"path": f"{s.dir}/a.txt"})
    assert told["observation"] == "read" and told["content"] == "one\ntwo\nthree\n"
    assert told["message"] == f"I read the file {s.dir}/a.txt."
    assert told["extras"]["path"] == f"{s.dir}/a.txt"


@first
def a_slice_is_read_by_lines(s):
    s.act("write", {"path": "lines", "content": "0\n1\n2\n3\n4\n"})
    for start, end, wanted in [(0, -1, "0\n1\n2\n3\n4\n"), (2, -1, "2\n3\n4\n"), (1, 3, "1\n2\n"), (0, 1, "0\n")]:
        told = s.act("read", {"path": "lines", "start": start, "end": end})
        assert told["content"] == wanted, (start, end, told)


@first
def a_slice_beyond_the_end_gives_what_there_is(s):
    s.act("write", {"path": "lines", "content": "0\n1\n2\n"})
    told = s.act("read", {"path": "lines", "start": 1, "end": 99})
    assert told["content"] == "1\n2\n", told


@first
def lines_are_replaced(s):
    s.act("write", {"path": "lines", "content": "0\n1\n2\n3\n"})
    s.act("write", {"path": "lines", "content": "new", "start": 1, "end": 3})
    assert s.says("cat lines") == "0\nnew\n3"


@first
def relative_paths_are_seen_from_the_shell(s):
    s.says("mkdir -p below && cd below")
    s.act("write", {"path": "here", "content": "x"})
    assert s.act("read", {"path": "here"})["content"].startswith("x")
    s.says(f"cd {s.dir}")
    assert "below/" in s.names(None) and s.names("below") == ["here"]


@first
def folders_above_a_written_file_are_made(s):
    assert s.act("write", {"path": f"{s.dir}/x/y/z", "content": "1"})["observation"] == "write"
    assert s.says("cat x/y/z") == "1"


@first
def a_file_that_is_not_there_is_an_error(s):
    told = s.act("read", {"path": f"{s.dir}/none"})
    assert told["observation"] == "error"
    assert told["content"] == f"File not found: {s.dir}/none. Your current working directory is {s.dir}."
    assert told["extras"]["error_id"] == ""


@first
def a_folder_is_not_read(s):
    s.says("mkdir -p folder")
    told = s.act("read", {"path": f"{s.dir}/folder"})
    assert told["content"] == f"Path is a directory: {s.dir}/folder. You can only read files"


@first
def bytes_that_are_no_text_are_not_read(s):
    s.says("printf '\\377\\376\\000x' > binary")
    told = s.act("read", {"path": f"{s.dir}/binary"})
    assert told["observation"] == "error" and "could not be decoded as utf-8" in told["content"]


@first
def media_are_read_as_urls(s):
    for name, kind in [
        ("p.png", "image/png"), ("p.JPG", "image/jpeg"), ("p.gif", "image/gif"), ("p.pdf", "application/pdf"),
        ("p.mp4", "video/mp4"), ("p.webm", "video/webm"),
    ]:
        s.says(f"printf '\\377\\000abc' > {name}")
        told = s.act("read", {"path": f"{s.dir}/{name}"})
        assert told["content"] == f"data:{kind};base64,/wBhYmM=", told


@first
def a_file_keeps_its_mode_when_it_is_written(s):
    s.says("echo 1 > script && chmod 751 script")
    s.act("write", {"path": "script", "content": "2\n"})
    assert s.says("ls -l script").startswith("-rwxr-x--x")


@first
def absolute_paths_outside_the_working_directory_are_reached(s):
    told = s.act("write", {"path": "/tmp/outside-of-it", "content": "o\n"})
    assert told["observation"] == "write", told
    assert s.act("read", {"path": "/tmp/outside-of-it"})["content"] == "o\n"
    assert "outside-of-it" in s.names("/tmp")
    s.says("rm /tmp/outside-of-it")


@first
def a_path_through_an_absolute_symlink_is_followed(s):
    s.says(f"mkdir -p real && echo r > real/file && ln -sfn {s.dir}/real linked")
    assert s.act("read", {"path": f"{s.dir}/linked/file"})["content"] == "r\n"


@first
def a_large_text_is_written_whole(s):
    content = "x" * 99 + "\n"
    s.act("write", {"path": "large", "content": content * 20_000})
    assert s.says("wc -c < large").strip() == str(2_000_000)


@first
def python_without_a_notebook_is_an_error(s):
    told = s.act("run_ipython", {"code": "print(1)"})
    assert told["observation"] == "error" and told["content"], told


# What is no action.


def unfit(s, action, wanted, words=""):
    status, told = s.post("/execute_action", {"action": action})
    assert status == wanted, (status, told)
    detail = told["detail"]
    assert isinstance(detail, str) and words in json.dumps(told), told
    assert "Traceback" not in detail and len(detail) < 1000


@first
def an_observation_is_no_action(s):
    unfit(s, {"observation": "run", "content": "", "extras": {}}, 400)


@first
def an_unknown_action_is_refused(s):
    unfit(s, {"action": "dance", "args": {}}, 400, "dance")


@first
def an_action_without_what_it_needs_is_refused(s):
    unfit(s, {"action": "run", "args": {}}, 400, "command")


@first
def an_action_with_a_wrong_field_is_refused(s):
    unfit(s, {"action": "run", "args": {"command": 5}}, 400, "command")
    unfit(s, {"action": "run", "args": {"command": "ls", "comand": "x"}}, 400, "comand")


@first
def an_action_for_others_is_refused(s):
    for name, args in [
        ("message", {"content": "hi"}), ("finish", {}), ("null", {}), ("think", {"thought": "x"}),
        ("change_agent_state", {"agent_state": "running"}),
    ]:
        unfit(s, {"action": name, "args": args}, 400, name)


@first
def a_limit_that_is_none_is_refused(s):
    for timeout in [0, -1, "soon", 1e300, [1]]:
        unfit(s, {"action": "run", "args": {"command": "ls"}, "timeout": timeout}, 400, "timeout")


@first
def a_body_without_an_action_is_invalid(s):
    for body in [{}, [], {"action": None}, {"action": "run"}, {"action": ["run"]}, 5]:
        status, told = s.post("/execute_action", body)
        assert status == 422, (body, status, told)
        assert told["detail"] == "Invalid request parameters" and told["errors"], told


@first
def a_body_that_is_no_json_is_invalid(s):
    for body in [b"", b"{", b"\xff\xfe", b"action=run", b"[" * 5000]:
        status, _, told = s.request("POST", "/execute_action", body)
        assert status == 422, (body[:20], status, told)
        assert json.loads(told)["detail"] == "Invalid request parameters"


@first
def a_command_with_a_nul_is_an_error(s):
    told = s.act("run", {"command": "echo a\0b"})
    assert told["observation"] == "error" and "NUL" in told["content"]


@first
def a_path_with_a_nul_is_an_error(s):
    assert s.act("read", {"path": f"{s.dir}/a\0b"})["observation"] == "error"


# Lists.


@first
def a_folder_is_listed_sorted_with_slashes(s):
    s.says("rm -rf list && mkdir -p list/sub list/Also && touch list/b list/A list/.dot")
    told = s.names(f"{s.dir}/list")
    assert sorted(told) == sorted(["Also/", "sub/", ".dot", "A", "b"])
    folders = [name for name in told if name.endswith("/")]
    assert told[: len(folders)] == folders or told == sorted(told, key=str.lower)


@first
def no_path_is_the_working_directory(s):
    s.says("touch in-front")
    for body in [{}, {"path": None}, {"path": ""}, {"path": "."}]:
        assert "in-front" in s.post("/list_files", body)[1], body


@first
def what_is_no_folder_lists_nothing(s):
    s.says("touch plain")
    for path in ["none", f"{s.dir}/none", f"{s.dir}/plain", "/none/such"]:
        assert s.names(path) == [], path


@first
def broken_symlinks_are_left_out(s):
    s.says("mkdir -p links && ln -sfn /none/such links/broken && ln -sfn . links/good && touch links/file")
    assert sorted(s.names("links")) == ["file", "good/"]


@first
def a_list_of_a_wrong_path_is_invalid(s):
    status, told = s.post("/list_files", {"path": 5})
    assert status == 422 and told["detail"] == "Invalid request parameters"


# Files up.


@first
def a_file_is_uploaded_into_a_new_folder(s):
    content = bytes(range(256)) * 1000
    status, told = s.upload("data.bin", content, f"{s.dir}/up/load")
    assert (status, told) == (200, {"filename": "data.bin", "destination": f"{s.dir}/up/load", "recursive": False})
    assert s.says("wc -c < up/load/data.bin").strip() == str(len(content))
    packed = s.download(f"{s.dir}/up/load")[2]
    assert entries(packed) == {"data.bin": content}


@first
def an_uploaded_file_replaces_one(s):
    for content in [b"first, longer", b"second"]:
        assert s.upload("same", content, f"{s.dir}/up")[0] == 200
    assert s.says("cat up/same") == "second"


@first
def an_empty_file_is_uploaded(s):
    assert s.upload("empty", b"", f"{s.dir}/up")[0] == 200
    assert s.says("wc -c < up/empty").strip() == "0"


@first
def content_that_looks_like_a_boundary_comes_through(s):
    content = b"\r\n--x\r\n--\r\n\r\n--" * 100
    kind, body = form([("file", "edge", content)], boundary="xyz")
    status, _, _ = s.request("POST", f"/upload_file?destination={s.dir}/up", body, {"Content-Type": kind})
    assert status == 200
    assert entries(s.download(f"{s.dir}/up")[2])["edge"] == content


@first
def other_fields_of_the_form_are_passed_over(s):
    kind, body = form([("note", None, b"x" * 9999), ("file", "noted", b"n"), ("tail", None, b"")])
    status, _, told = s.request("POST", f"/upload_file?destination={s.dir}/up", body, {"Content-Type": kind})
    assert status == 200 and json.loads(told)["filename"] == "noted"


@first
def a_zip_is_unpacked_and_gone(s):
    packed = archive([("top", b"1"), ("in/ner/file", b"2"), ("in/empty/", b"")])
    status, told = s.upload("some.zip", packed, f"{s.dir}/unpacked")
    assert status == 200 and told["filename"] == "some.zip", told
    assert s.names("unpacked") == ["in/", "top"] and s.names("unpacked/in") == ["empty/", "ner/"]
    assert s.says("cat unpacked/in/ner/file") == "2"


@first
def recursive_unpacks_whatever_the_name(s):
    status, told = s.upload("folder.tmp", archive([("a/b", b"x")]), f"{s.dir}/recursive", recursive="true")
    assert status == 200 and told["recursive"] is True
    assert s.names("recursive") == ["a/"]


@first
def a_zip_that_is_none_is_refused(s):
    status, told = s.upload("bad.zip", b"PK\x03\x04 not really", f"{s.dir}/badzip")
    assert status == 400 and told["detail"], told


@first
def a_zip_that_climbs_is_refused_whole(s):
    for name in ["../climbed", "a/../../climbed", "/tmp/climbed", "..\\climbed"]:
        packed = archive([("good", b"1"), (name, b"2")])
        status, told = s.upload("evil.zip", packed, f"{s.dir}/evil/inner")
        assert status == 400, (name, status, told)
    assert s.names("evil/inner") in ([], ["good"]) and "climbed" not in s.names("evil")
    assert s.names("evil/inner") == [] and "climbed" not in s.names("/tmp")


@first
def a_zip_bomb_is_refused(s):
    packed = archive([(f"{n}", b"\0" * (64 << 20)) for n in range(8)])
    assert len(packed) < 1_000_000
    status, told = s.upload("bomb.zip", packed, f"{s.dir}/bomb")
    assert status == 413, (status, told)
    assert s.names("bomb") == []


@first
def a_relative_destination_is_refused(s):
    status, told = s.upload("x", b"1", "relative/path")
    assert status == 400 and "absolute" in told["detail"], told


@first
def a_file_name_that_climbs_is_refused(s):
    for name in ["../up-and-out", "/tmp/up-and-out", "a/b", "..", "."]:
        status, told = s.upload(name, b"1", f"{s.dir}/named/deep")
        assert status == 400, (name, status, told)
    assert "up-and-out" not in s.names("/tmp") and s.names("named/deep") == []


@first
def a_file_is_no_folder_to_upload_into(s):
    s.says("touch plain")
    status, told = s.upload("x", b"1", f"{s.dir}/plain")
    assert status == 400 and told["detail"], (status, told)


@first
def a_form_without_the_field_is_invalid(s):
    status, told = s.upload("x", b"1", f"{s.dir}/up", field="other")
    assert status == 422 and told["detail"] == "Invalid request parameters", told


@first
def what_is_no_form_is_invalid(s):
    for kind in ["application/json", "multipart/form-data", "text/plain", ""]:
        status, _, told = s.request("POST", f"/upload_file?destination={s.dir}/up", b"{}", {"Content-Type": kind})
        assert status == 422, (kind, status, told)


@first
def a_form_that_is_cut_off_leaves_nothing(s):
    kind, body = form([("file", "half", b"x" * 100_000)])
    status, _, told = s.request("POST", f"/upload_file?destination={s.dir}/cut", body[:50_000], {"Content-Type": kind})
    assert status == 400, (status, told)
    assert s.names("cut") == []


@first
def a_part_with_endless_headers_is_refused(s):
    body = b"--b\r\nX-Long: " + b"y" * 200_000 + b"\r\n\r\n1\r\n--b--\r\n"
    kind = "multipart/form-data; boundary=b"
    status, _, told = s.request("POST", f"/upload_file?destination={s.dir}/up", body, {"Content-Type": kind})
    assert status == 400, (status, told)


@first
def an_upload_says_true_or_false(s):
    status, told = s.upload("x", b"1", f"{s.dir}/up", recursive="perhaps")
    assert status == 422, told


@first
def eighty_megabytes_go_up_and_come_back(s):
    piece = bytes(range(251)) * 4003
    content = piece * 80
    assert s.upload("big", content, f"{s.dir}/big")[0] == 200
    status, _, packed = s.download(f"{s.dir}/big")
    assert status == 200 and entries(packed) == {"big": content}
    s.says("rm -r big")


# Folders down.


@first
def a_folder_comes_as_zip(s):
    s.says("rm -rf tree && mkdir -p tree/a/empty && echo 1 > tree/one && printf '\\000\\377' > tree/a/two")
    status, headers, packed = s.download(f"{s.dir}/tree")
    assert status == 200 and headers["content-type"] == "application/zip"
    assert "filename=tree.zip" in headers["content-disposition"].replace('"', "")
    got = entries(packed)
    assert got["one"] == b"1\n" and got["a/two"] == b"\0\xff", got
    assert all(not name.startswith("/") for name in got)


@first
def a_downloaded_folder_can_be_uploaded(s):
    s.says("rm -rf copy tree2 && mkdir -p tree2/ä && echo x > 'tree2/ä/b c'")
    packed = s.download(f"{s.dir}/tree2")[2]
    assert s.upload("again.zip", packed, f"{s.dir}/copy")[0] == 200
    assert s.says("cat 'copy/ä/b c'") == "x"


@first
def a_symlink_in_a_folder_comes_as_what_it_leads_to(s):
    s.says("rm -rf linky && mkdir -p linky && echo t > linky/target && ln -s target linky/link && ln -s /none linky/dead && ln -s .. linky/up")
    assert entries(s.download(f"{s.dir}/linky")[2]) == {"target": b"t\n", "link": b"t\n"}


@first
def a_missing_folder_is_not_found(s):
    status, _, told = s.download(f"{s.dir}/none/such")
    assert status == 404 and json.loads(told)["detail"]


@first
def a_relative_folder_is_refused(s):
    status, _, told = s.download("tree")
    assert status == 400 and "absolute" in json.loads(told)["detail"]


@first
def a_download_says_which(s):
    status, _, told = s.request("GET", "/download_files")
    assert status == 422 and json.loads(told)["detail"] == "Invalid request parameters"


@first
def a_download_that_is_left_does_not_hold_the_next(s):
    s.says("rm -rf heap && mkdir heap && head -c 20000000 /dev/urandom > heap/noise")
    for _ in range(12):
        import socket

        with socket.create_connection((s.host, s.port), timeout=20) as connection:
            connection.sendall(
                f"GET /download_files?path={s.dir}/heap HTTP/1.1\r\nHost: x\r\nX-Session-API-Key: {s.key}\r\n\r\n".encode()
            )
            assert connection.recv(15).startswith(b"HTTP/1.1 ")
    eventually("a place is free", lambda: s.download(f"{s.dir}/up")[0] == 200)
    s.says("rm -r heap")


# The rest of the endpoints, and what is none.


@first
def vscode_has_a_token_or_none(s):
    status, told = s.json("GET", "/vscode/connection_token")
    assert status == 200 and set(told) == {"token"}
    assert told["token"] is None or isinstance(told["token"], str)


@first
def mcp_servers_are_refused_clearly(s):
    status, told = s.post("/update_mcp_server", [])
    assert status == 501 and "MCP" in told["detail"]
    assert s.post("/update_mcp_server", {"a": 1})[0] == 422


@first
def an_unknown_path_is_not_found(s):
    for path in ["/", "/none", "/execute_action/", "/alive/x", "/vscode"]:
        assert s.request("GET", path)[0] == 404, path


@first
def a_wrong_method_is_not_allowed(s):
    for method, path, right in [
        ("GET", "/execute_action", "POST"), ("GET", "/upload_file", "POST"), ("POST", "/download_files", "GET"),
        ("PUT", "/list_files", "POST"), ("DELETE", "/vscode/connection_token", "GET"), ("POST", "/alive", "GET"),
    ]:
        status, headers, _ = s.request(method, path, b"{}")
        assert status == 405 and headers["allow"] == right, (method, path, status)


# Hostile words.


@first
def huge_headers_are_refused(s):
    got = s.raw(b"GET /alive HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 500_000 + b"\r\n\r\n")
    assert got == b"" or got.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400")), got[:80]
    assert s.json("GET", "/alive")[0] == 200


@first
def too_many_headers_are_refused(s):
    got = s.raw(b"GET /alive HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n")
    assert got == b"" or got.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400")), got[:80]
    assert s.json("GET", "/alive")[0] == 200


@first
def what_is_no_http_is_refused(s):
    for sent in [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET /alive\r\n\r\n", b"\0" * 4096]:
        got = s.raw(sent)
        assert got == b"" or got.startswith(b"HTTP/1.1 400"), got[:80]
    assert s.json("GET", "/alive")[0] == 200


@first
def two_lengths_are_refused(s):
    head = f"POST /list_files HTTP/1.1\r\nHost: x\r\nX-Session-API-Key: {s.key}\r\n"
    got = s.raw((head + "Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}").encode())
    assert got == b"" or got.startswith(b"HTTP/1.1 400"), got[:80]


@first
def a_body_that_is_too_large_is_refused(s):
    head = f"POST /list_files HTTP/1.1\r\nHost: x\r\nX-Session-API-Key: {s.key}\r\n"
    got = s.raw((head + f"Content-Length: {64 << 20}\r\n\r\n").encode() + b" " * (40 << 20))
    assert got == b"" or got.startswith(b"HTTP/1.1 413"), got[:80]
    assert s.json("GET", "/alive")[0] == 200


@first
def a_deep_body_is_invalid(s):
    body = b'{"action":' * 10_000
    assert s.request("POST", "/execute_action", body)[0] == 422


@first
def idle_connections_hold_nobody(s):
    import socket

    idle = [socket.create_connection((s.host, s.port), timeout=20) for _ in range(200)]
    try:
        for connection in idle[::2]:
            connection.sendall(b"POST /execute_action HTTP/1.1\r\nHost")
        assert s.json("GET", "/alive")[0] == 200 and s.says("echo on") == "on"
    finally:
        for connection in idle:
            connection.close()


# Many at once.


@first
def actions_take_turns(s):
    began = time.monotonic()
    s.says("rm -f order")
    command = "echo b >> order; sleep 0.4; echo e >> order"
    results = at_once(*[lambda: s.run(command) for _ in range(4)])
    assert all(told["extras"]["exit_code"] == 0 for told in results), results
    assert s.says("tr -d '\\n' < order") == "bebebebe"
    assert time.monotonic() - began > 1.5


@first
def everything_else_goes_on_beside_an_action(s):
    def look():
        eventually("busy", lambda: s.json("GET", "/server_info")[1]["busy"])
        assert s.json("GET", "/alive")[0] == 200
        assert isinstance(s.names(None), list)
        assert s.upload("beside", b"1", f"{s.dir}/up")[0] == 200
        return time.monotonic()

    def act():
        s.says("sleep 3")
        return time.monotonic()

    ended, looked = at_once(act, look)
    assert looked is not None and ended is not None and looked < ended


@first
def an_action_whose_client_is_gone_keeps_its_turn(s):
    import socket

    s.says("rm -f gone")
    action = {"action": {"action": "run", "args": {"command": "sleep 2; echo 1 > gone", "blocking": True}}}
    body = json.dumps(action)
    with socket.create_connection((s.host, s.port), timeout=20) as connection:
        connection.sendall(
            (f"POST /execute_action HTTP/1.1\r\nHost: x\r\nX-Session-API-Key: {s.key}\r\n"
             f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
        )
        eventually("busy", lambda: s.json("GET", "/server_info")[1]["busy"])
    assert s.says("cat gone") == "1"


@first
def many_uploads_at_once_are_each_whole(s):
    def send(n):
        return lambda: s.upload(f"n{n}", bytes([n]) * 300_000, f"{s.dir}/many")[0]

    assert at_once(*[send(n) for n in range(16)]) == [200] * 16
    got = entries(s.download(f"{s.dir}/many")[2])
    assert all(got[f"n{n}"] == bytes([n]) * 300_000 for n in range(16))


@first
def one_connection_serves_many_requests(s):
    import http.client

    connection = http.client.HTTPConnection(s.host, s.port, timeout=20)
    for n in range(50):
        body = json.dumps({"action": {"action": "run", "args": {"command": f"echo {n}"}}})
        connection.request("POST", "/execute_action", body, {"X-Session-API-Key": s.key})
        assert json.loads(connection.getresponse().read())["content"] == str(n)
    connection.close()


@first
def something_is_left_for_the_restart(s):
    s.says("echo stays > stays; GOES=1; export GOES")
    assert s.says("echo $GOES") == "1"


# After a restart.


@again
def files_stay_over_a_restart(s):
    assert s.says("cat stays") == "stays"


@again
def the_shell_is_a_new_one_after_a_restart(s):
    assert s.says("echo [$GOES]; pwd") == f"[]\n{s.dir}"


@again
def the_key_is_the_same_after_a_restart(s):
    refused(s.request("POST", "/list_files", b"{}", key="wrong"))
    assert s.json("GET", "/server_info", key=None)[1]["uptime"] < 60


@again
def the_user_is_there_once_after_a_restart(s):
    name = s.says("id -un 2>/dev/null || whoami")
    assert s.says(f"grep -c '^{name}:' /etc/passwd") == "1"


# The command line.


def call(path, *words, env=None):
    done = subprocess.run([path, *words], capture_output=True, text=True, timeout=60, env=env or {})
    return done.returncode, done.stdout, done.stderr


@program
def help_teaches(path):
    code, out, _ = call(path, "--help")
    assert code == 0
    for word in ["PORT", "--working-dir", "--plugins", "--username", "--user-id", "SESSION_API_KEY", "--no"]:
        assert word in out, word


@program
def help_is_told_beside_a_port(path):
    assert call(path, "3000", "--help")[0] == 0


@program
def an_unknown_plugin_is_an_error(path):
    code, _, err = call(path, "3999", "--working-dir", "/tmp", "--plugins", "jupiter")
    assert code != 0 and "jupiter" in err and "jupyter" in err


@program
def a_missing_port_is_an_error(path):
    code, _, err = call(path, "--working-dir", "/tmp")
    assert code != 0 and "port" in err


@program
def a_port_that_is_none_is_an_error(path):
    for port in ["0", "65536"]:
        code, _, err = call(path, port, "--working-dir", "/tmp")
        assert code != 0 and "PORT" in err, err


@program
def a_relative_working_directory_is_an_error(path):
    code, _, err = call(path, "3999", "--working-dir", "here", "--username", "root")
    assert code != 0 and "absolute" in err


@program
def an_evaluation_environment_is_refused(path):
    code, _, err = call(path, "3999", "--working-dir", "/tmp", "--browsergym-eval-env", "webarena.1")
    assert code != 0 and "webarena.1" in err


@program
def an_unknown_option_is_an_error(path):
    code, _, err = call(path, "3999", "--working-dir", "/tmp", "--frobnicate")
    assert code != 0 and "--frobnicate" in err and err.count("\n") == 1


def main(words):
    if words[0] == "program":
        return client.play(PROGRAM, words[1])
    cases = {"first": FIRST, "again": AGAIN}[words[0]]
    # The key comes in a file: a case looks whether any process has it in its arguments.
    address, key, *folders = words[1:]
    with open(key, encoding="utf-8") as file:
        return client.play(cases, Sandbox(address, file.read(), *folders))


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
