//! Frames that are no frames, and actions that are none.

use serde_json::{Value, json};

use crate::{Row, Sent, stage::Stage, wire};

pub(crate) fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = texts();
    rows.extend(refused_actions(stage));
    rows.extend(odd_commands());
    rows.extend(raw());
    rows
}

fn text(name: &str, text: impl Into<String>, wanted: &'static str) -> Row {
    Row(format!("frame: {name}"), Sent::Text(text.into()), wanted)
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn texts() -> Vec<Row> {
    let long = "r".repeat(201);
    let wide = "ä".repeat(101);
    let nuls = "\0".repeat(1000);
    let deep = "[".repeat(100_000);
    let deep_in = format!(r#"{{"type":"do","ref":"d","action":{}"#, r#"{"a":"#.repeat(100_000));
    let many = format!(r#"{{"type":"ping","x":[{}0]}}"#, "0,".repeat(200_000));
    vec![
        text("broken JSON", r#"{"type":"do","#, "denied frame.malformed"),
        text("empty", "", "denied frame.malformed"),
        text("two values", "{} {}", "denied frame.malformed"),
        text("not JSON at all", "echo hi", "denied frame.malformed"),
        text("an array", "[]", "denied frame.malformed"),
        text("a number", "7", "denied frame.malformed"),
        text("null", "null", "denied frame.malformed"),
        text("a string", r#""do""#, "denied frame.malformed"),
        text("NaN", r#"{"type":NaN}"#, "denied frame.malformed"),
        text("NULs", nuls, "denied frame.malformed"),
        text("a byte order mark", "\u{feff}{\"type\":\"ping\"}", "denied frame.malformed"),
        text("100,000 brackets", deep, "denied frame.malformed"),
        text("100,000 objects in an action", deep_in, "denied frame.malformed"),
        text("a lone surrogate", r#"{"type":"\ud800"}"#, "denied frame.malformed"),
        text("a number beyond all", r#"{"type":"ping","nonce":1e999}"#, "denied frame.malformed"),
        text("no type", r#"{"ref":"a"}"#, "denied frame.malformed"),
        text("type of a wrong type", r#"{"type":1,"ref":"a"}"#, "denied frame.malformed"),
        text("unknown type", r#"{"type":"sudo","ref":"a"}"#, "denied frame.unknown"),
        text("type in capitals", r#"{"type":"DO","ref":"a"}"#, "denied frame.unknown"),
        text("a server's frame", r#"{"type":"hello","ref":"a"}"#, "denied frame.unknown"),
        text("an event", r#"{"type":"event","event":{"id":0}}"#, "denied frame.unknown"),
        text("a frame of later", r#"{"type":"presence","ref":"a"}"#, "denied frame.unknown"),
        text("a watch without ref", r#"{"type":"watch"}"#, "denied ref.missing"),
        text("unwatch of none", r#"{"type":"unwatch","ref":"a"}"#, "denied watch.unknown"),
        text(
            "a watch of a wrong type",
            r#"{"type":"watch","ref":"a","paths":"x"}"#,
            "denied frame.malformed",
        ),
        text(
            "a watch of nothing",
            r#"{"type":"watch","ref":"a","paths":[""]}"#,
            "denied watch.malformed",
        ),
        text("terminal without ref", r#"{"type":"terminal.open"}"#, "denied ref.missing"),
        text(
            "terminal of a wrong type",
            r#"{"type":"terminal.open","ref":"t","terminal":"one"}"#,
            "denied frame.malformed",
        ),
        text(
            "terminal of no columns",
            r#"{"type":"terminal.open","ref":"t","cols":0}"#,
            "denied terminal.malformed",
        ),
        text(
            "terminal that is none",
            r#"{"type":"terminal.open","ref":"t","terminal":4000000000}"#,
            "denied terminal.unknown",
        ),
        text(
            "terminal that is not followed",
            r#"{"type":"terminal.drive","ref":"t","terminal":7}"#,
            "denied terminal.not_followed",
        ),
        text("no ref", r#"{"type":"do","action":{"action":"run"}}"#, "denied ref.missing"),
        text("null ref", r#"{"type":"do","ref":null,"action":{}}"#, "denied ref.missing"),
        text("ref of a wrong type", r#"{"type":"do","ref":7,"action":{}}"#, "denied ref.missing"),
        text("empty ref", r#"{"type":"do","ref":"","action":{}}"#, "denied ref.malformed"),
        text(
            "ref of 201 bytes",
            format!(r#"{{"type":"do","ref":"{long}"}}"#),
            "denied ref.malformed",
        ),
        text(
            "ref of 202 bytes in 101 characters",
            format!(r#"{{"type":"do","ref":"{wide}"}}"#),
            "denied ref.malformed",
        ),
        text(
            "ref twice",
            r#"{"type":"do","ref":"a","ref":"","action":{}}"#,
            "denied ref.malformed",
        ),
        text("no action", r#"{"type":"do","ref":"a"}"#, "denied frame.malformed"),
        text("a large array in a ping", many, "pong"),
        text(
            "interrupt with ref of a wrong type",
            r#"{"type":"interrupt","ref":[]}"#,
            "denied frame.malformed",
        ),
        text("interrupt without a command", r#"{"type":"interrupt","ref":"i"}"#, "done"),
        text("file without op", r#"{"type":"file","ref":"f"}"#, "denied BAD_MESSAGE"),
        text(
            "file with unknown op",
            r#"{"type":"file","ref":"f","op":"chmod","path":"a"}"#,
            "denied BAD_MESSAGE",
        ),
        text("file without path", r#"{"type":"file","ref":"f","op":"read"}"#, "denied BAD_MESSAGE"),
        text(
            "file with unknown field",
            r#"{"type":"file","ref":"f","op":"read","path":"a","x":1}"#,
            "denied BAD_MESSAGE",
        ),
        text(
            "file with path of a wrong type",
            r#"{"type":"file","ref":"f","op":"read","path":["a"]}"#,
            "denied BAD_MESSAGE",
        ),
        text(
            "file outside",
            r#"{"type":"file","ref":"f","op":"read","path":"../../etc/passwd"}"#,
            "denied OUTSIDE_WORKSPACE",
        ),
        text(
            "file absolute",
            r#"{"type":"file","ref":"f","op":"read","path":"/etc/passwd"}"#,
            "denied OUTSIDE_WORKSPACE",
        ),
        text(
            "file with NUL",
            r#"{"type":"file","ref":"f","op":"stat","path":"a\u0000b"}"#,
            "denied BAD_MESSAGE",
        ),
        text(
            "file without base64",
            r#"{"type":"file","ref":"f","op":"create","path":"b64","content":"!","encoding":"base64"}"#,
            "denied BAD_MESSAGE",
        ),
    ]
}

/// Actions that the session must not take.
#[expect(clippy::too_many_lines, reason = "a table")]
fn refused_actions(stage: &Stage) -> Vec<Row> {
    let row = |name: &str, action: Value, wanted: &'static str| {
        let frame = json!({ "type": "do", "ref": stage.reference(), "action": action });
        text(&format!("action: {name}"), frame.to_string(), wanted)
    };
    let run = |args: Value| json!({ "action": "run", "args": args });
    let timed =
        |timeout: Value| json!({ "action": "run", "args": { "command": "x" }, "timeout": timeout });
    let becomes =
        |to: &str| json!({ "action": "change_agent_state", "args": { "agent_state": to } });
    let plain = |name: &str| json!({ "action": name, "args": {} });
    vec![
        row("a string", json!("run"), "denied action.malformed"),
        row("null", json!(null), "denied action.malformed"),
        row("an array", json!([]), "denied action.malformed"),
        row("empty", json!({}), "denied action.malformed"),
        row("name of a wrong type", json!({ "action": 7 }), "denied action.malformed"),
        row("unknown", plain("format_disk"), "denied action.unknown"),
        row("misspelt", plain("rnu"), "denied action.unknown"),
        row("name of 10,000 characters", plain(&"x".repeat(10_000)), "denied action.unknown"),
        row("not supported", plain("initialize"), "denied action.unsupported"),
        row(
            "an observation",
            json!({ "observation": "run", "content": "" }),
            "denied action.malformed",
        ),
        row("an observation's name", plain("agent_state_changed"), "denied action.unknown"),
        row(
            "both",
            json!({ "action": "run", "args": { "command": "x" }, "observation": "run" }),
            "denied action.unknown_field",
        ),
        row(
            "unknown key",
            json!({ "action": "run", "args": { "command": "x" }, "cwd": "/" }),
            "denied action.unknown_field",
        ),
        row(
            "unknown arg",
            run(json!({ "command": "x", "shell": "zsh" })),
            "denied action.unknown_field",
        ),
        row("args of a wrong type", run(json!([])), "denied action.malformed"),
        row("arg of a wrong type", run(json!({ "command": 7 })), "denied action.malformed"),
        row("arg null", run(json!({ "command": null })), "denied action.malformed"),
        row(
            "flag of a wrong type",
            run(json!({ "command": "x", "blocking": "yes" })),
            "denied action.malformed",
        ),
        row("missing arg", run(json!({})), "denied action.malformed"),
        row("no args", json!({ "action": "run" }), "denied action.malformed"),
        row(
            "a number beyond i64",
            json!({ "action": "read", "args": { "path": "a", "start": 1e300 } }),
            "denied action.malformed",
        ),
        row("timeout 0", timed(json!(0)), "denied action.malformed"),
        row("timeout -1", timed(json!(-1)), "denied action.malformed"),
        row("timeout 0.5", timed(json!(0.5)), "denied action.malformed"),
        row("timeout too long", timed(json!(86_401)), "denied action.malformed"),
        row("timeout beyond all", timed(json!(u64::MAX)), "denied action.malformed"),
        row("timeout in words", timed(json!("10")), "denied action.malformed"),
        row("illegal transition", becomes("finished"), "denied agent.illegal_transition"),
        row(
            "another illegal transition",
            becomes("user_confirmed"),
            "denied agent.illegal_transition",
        ),
        row("misspelt state", becomes("runing"), "denied action.malformed"),
        row("state in capitals", becomes("PAUSED"), "denied action.malformed"),
        row(
            "the agent's system",
            json!({ "action": "system", "args": { "content": "obey" } }),
            "denied action.agent_only",
        ),
        row(
            "the agent's recall",
            json!({ "action": "recall", "args": { "recall_type": "knowledge" } }),
            "denied action.agent_only",
        ),
        row(
            "the agent's condensation",
            json!({ "action": "condensation", "args": { "forgotten_event_ids": [0] } }),
            "denied action.agent_only",
        ),
        row("the agent's request", plain("condensation_request"), "denied model.not_configured"),
        row("the agent's way out", plain("loop_recovery"), "denied agent.no_loop"),
    ]
}

/// Actions that are taken, because only the shell knows what is wrong with them.
fn odd_commands() -> Vec<Row> {
    let row = |name: &str, args: Value, wanted: &'static str| {
        Row(
            format!("command: {name}"),
            Sent::Action(json!({ "action": "run", "args": args })),
            wanted,
        )
    };
    let long = format!(": {}", "x".repeat(1024 * 1024 - 2));
    let too_long = format!("{long}x");
    vec![
        row(
            "with NUL",
            json!({ "command": "echo a\0b" }),
            "error: ERROR: A command can't contain a NUL character.",
        ),
        row("of 1 MiB", json!({ "command": long }), "run: "),
        row(
            "of 1 MiB and a byte",
            json!({ "command": too_long }),
            "error: ERROR: The command has 1048577 bytes;…",
        ),
        row(
            "empty",
            json!({ "command": "" }),
            "error: ERROR: No previous running command to retrieve logs from.",
        ),
        row(
            "input without a command",
            json!({ "command": "y", "is_input": true }),
            "error: ERROR: No previous running command to interact with.",
        ),
        row(
            "a key without a command",
            json!({ "command": "C-c" }),
            "error: ERROR: No previous running command to interact with.",
        ),
        row("unfinished", json!({ "command": "echo 'a" }), "run: …"),
        row("syntax error", json!({ "command": "if then ((" }), "run: …"),
        row("exits the subshell only", json!({ "command": "(exit 3)" }), "run: "),
        row(
            "control characters",
            json!({ "command": "echo \u{3}\u{4}\u{1a}\u{1c}\u{16}\u{7f}x" }),
            "run: …",
        ),
        row(
            "a fake end mark",
            json!({ "command": "printf '\\e]633;D;0\\a\\e]133;D;0\\a'" }),
            "run: …",
        ),
        row("escape sequences", json!({ "command": "printf '\\e[2J\\e[?1049h\\ec'" }), "run: …"),
    ]
}

fn raw() -> Vec<Row> {
    let row = |name: &str, bytes: Vec<u8>, wanted: &'static str| {
        Row(format!("bytes in a socket: {name}"), Sent::Frames(bytes), wanted)
    };
    let ping = br#"{"type":"ping","nonce":5}"#;
    let fragments = [
        wire::frame(0x01, &ping[..7]),
        wire::frame(0x89, b"between"),
        wire::frame(0x00, &ping[7..9]),
        wire::frame(0x80, &ping[9..]),
    ];
    let bytewise: Vec<u8> = (0..ping.len())
        .flat_map(|i| {
            wire::frame(u8::from(i == 0) | if i + 1 == ping.len() { 0x80 } else { 0 }, &ping[i..=i])
        })
        .collect();
    let split = [wire::frame(0x01, b"\"\xc3"), wire::frame(0x80, b"\"")].concat();
    let mebibyte = vec![b' '; 1 << 20];
    let parts: Vec<u8> = (0..25).flat_map(|i| wire::frame(u8::from(i == 0), &mebibyte)).collect();
    let long = wire::frame(0x81, &vec![b' '; (24 << 20) + 1]);
    let unmasked = [&[0x81, u8::try_from(ping.len()).expect("short")][..], ping].concat();
    vec![
        row("binary", wire::frame(0x82, b"\0\x01"), "denied terminal.malformed"),
        row("input", wire::frame(0x82, b"\0\0\0\x01x"), "denied terminal.not_followed"),
        row("fragments with a ping between", fragments.concat(), "pong"),
        row("a fragment for each byte", bytewise, "pong"),
        row(
            "fragmented binary",
            [wire::frame(0x02, b"a"), wire::frame(0x80, b"b")].concat(),
            "denied terminal.malformed",
        ),
        row("invalid UTF-8", wire::frame(0x81, b"{\"type\":\"\xff\"}"), "close 1007"),
        row("UTF-8 cut at a fragment's end", split, "close 1007"),
        row("a surrogate in UTF-8", wire::frame(0x81, b"\xed\xa0\x80"), "close 1007"),
        row("24 MiB and a byte", long, "close 1009"),
        row("25 MiB in fragments", parts, "close 1009"),
        row("a head that tells of 25 MiB", wire::head(0x81, 25 << 20), "close 1009"),
        row("a head that tells of 2^62 bytes", wire::head(0x81, 1 << 62), "close 1009"),
        row("a head that tells of 2^64-1 bytes", wire::head(0x81, u64::MAX), "close 1009"),
        row("unmasked", unmasked, "close 1002"),
        row("garbage", vec![0xde, 0xad, 0xbe, 0xef, 0, 1, 2, 3, 4, 5, 6, 7], "close 1002"),
        row("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "close 1002"),
        row("reserved opcode", wire::frame(0x83, b"x"), "close 1002"),
        row("reserved control opcode", wire::frame(0x8b, b"x"), "close 1002"),
        row("reserved bit", wire::frame(0xc1, b"{}"), "close 1002"),
        row("a ping of 126 bytes", wire::frame(0x89, &[0; 126]), "close 1002"),
        row("a ping in fragments", wire::frame(0x09, b"x"), "close 1002"),
        row("an end without a beginning", wire::frame(0x80, b"x"), "close 1002"),
        row(
            "two beginnings",
            [wire::frame(0x01, b"a"), wire::frame(0x01, b"b")].concat(),
            "close 1002",
        ),
        row(
            "a message within another",
            [wire::frame(0x01, b"a"), wire::frame(0x81, b"{}")].concat(),
            "close 1002",
        ),
        row("a close of one byte", wire::frame(0x88, b"x"), "close 1002"),
        row("a close with a code that is none", wire::frame(0x88, &[0, 1]), "close 1002"),
        row("a good-bye", wire::frame(0x88, &[3, 0xe8]), "close 1000"),
    ]
}
