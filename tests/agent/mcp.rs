//! Tools of MCP servers: a program in the sandbox and an address are offered and called; a call is never repeated.

use std::fmt::Write as _;

use serde_json::{Value, json};
use staithe_testkit::{FakeMcp, model::Step};

use crate::{
    common::{Client, PROMPT, eventually},
    notes::{note, unpaired},
    scene::{BEGIN, finish},
    stage::{Stage, change},
};

/// A server by any shell: `count` notes that it was called, `slow` does and never answers.
const PROGRAM: &str = r#"
say() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$1" "$2"; }
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    case "$line" in
    *'"initialize"'*) say "$id" '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"boats","version":"1"}}' ;;
    *'"tools/list"'*) say "$id" '{"tools":[{"name":"count","inputSchema":{"type":"object"}},{"name":"slow","inputSchema":{"type":"object"}},{"name":"think","inputSchema":{"type":"object"}}]}' ;;
    *'"name":"slow"'*) echo slow >> calls ;;
    *'"tools/call"'*) echo called >> calls; say "$id" "{\"content\":[{\"type\":\"text\",\"text\":\"counted by $KEY in $PWD\"}]}" ;;
    esac
done
"#;

/// The configuration of these servers.
fn servers(url: &str) -> String {
    let mut text =
        String::from("confirm = \"never\"\n[mcp]\nrestarts = 1\nrestart_wait = \"10ms\"\n");
    write!(
        text,
        "[mcp.servers.boats]\ncommand = \"sh\"\nargs = [\"-c\", '''{PROGRAM}''']\n\
         env = {{ KEY = {{ secret = \"key-of-the-boats\" }} }}\n\
         [mcp.servers.tides]\nurl = \"{url}\"\nheaders = {{ Authorization = \"Bearer key-of-the-tides\" }}\n\
         [mcp.servers.gone]\ncommand = \"no-such-program\"\n",
    )
    .unwrap();
    text
}

fn call(tool: &str, arguments: &Value) -> Step {
    Step::call(tool, arguments)
}

/// How many calls the program noted.
async fn noted(client: &mut Client, reference: usize) -> usize {
    let told = client.run(&format!("noted-{reference}"), "cat calls").await;
    let content = told["content"].as_str().unwrap();
    content.lines().filter(|line| matches!(*line, "slow" | "called")).count()
}

#[tokio::test]
async fn their_tools_are_offered_and_called_and_their_keys_are_told_to_nobody() {
    let tides = FakeMcp::start().await;
    let stage = Stage::new(&[""], &servers(&tides.url)).await;
    let mut play = stage.play(0).await;
    play.model.script([
        call("count", &json!({ "boats": 3 })).and_call("tide", r#"{"day": "today"}"#),
        call("boats_think", &json!({})),
        call("gone_tool", &json!({})),
        finish(),
    ]);
    play.say("Count the boats").await;
    play.see("[finished]").await;
    let asked = play.model.asked();
    let names: Vec<_> = asked[0].body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap().to_owned())
        .collect();
    for name in ["count", "slow", "boats_think", "tide", "execute_bash", "think"] {
        assert_eq!(names.iter().filter(|it| *it == name).count(), 1, "{name} of {names:?}");
    }
    let turns = asked[1].turns();
    let results: Vec<_> = turns.iter().filter(|turn| turn["role"] == "tool").collect();
    assert!(results[0].to_string().contains("counted by *** in /workspace"), "{results:?}");
    assert!(results[1].to_string().contains("high water for"), "{results:?}");
    assert_eq!(tides.calls(), [json!({ "day": "today" })]);
    assert!(tides.keys().iter().all(|key| key.as_deref() == Some("Bearer key-of-the-tides")));
    assert_eq!(
        crate::notes::notes(&play.events).join(" | "),
        format!(
            "{BEGIN} | a call_tool_mcp | = mcp | a call_tool_mcp | = mcp | a call_tool_mcp | = mcp | \
             ! BAD_TOOL_CALL | a finish | [finished]"
        )
    );
    assert_eq!(unpaired(&play.events), Vec::<String>::new());
    assert_eq!(noted(&mut play.client, 0).await, 2);

    let events = stage.server.events(&play.id).await;
    let states = |name: &str| {
        let told = events.iter().filter(|event| event["extras"]["name"] == name);
        told.map(|event| event["extras"]["state"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(states("mcp:boats").last(), Some(&"ready"));
    assert_eq!(states("mcp:tides").last(), Some(&"ready"));
    assert_eq!(states("mcp:gone").last(), Some(&"failed"));
    let gone = events.iter().rfind(|event| event["extras"]["name"] == "mcp:gone").unwrap();
    assert!(gone["extras"]["detail"].as_str().unwrap().contains("no-such-program"), "{gone}");
    let all = Value::from(events).to_string() + &stage.server.log();
    assert!(!all.contains("key-of-the-"), "a key is told");
}

#[tokio::test]
async fn a_stop_ends_a_call_that_never_answers() {
    let tides = FakeMcp::start().await;
    let stage = Stage::new(&[""], &servers(&tides.url)).await;
    let mut play = stage.play(0).await;
    play.model.script([call("slow", &json!({}))]);
    play.say("Count slowly").await;
    play.see("a call_tool_mcp").await;
    play.change("stopped").await;
    play.see("= error ACTION_INTERRUPTED").await;
    play.see("[stopped]").await;
    assert_eq!(unpaired(&play.events), Vec::<String>::new());
    // The server goes on to serve.
    play.model.script([call("count", &json!({})), finish()]);
    play.say("Count quickly").await;
    play.see("[finished]").await;
    assert!(play.model.asked().last().unwrap().last_text().contains("counted by"));
}

#[tokio::test]
async fn a_call_that_a_crash_cut_is_told_and_not_repeated() {
    let tides = FakeMcp::start().await;
    let mut stage = Stage::new(&[""], &servers(&tides.url)).await;
    stage.models[0].script([call("slow", &json!({})), finish()]);
    let (id, token) = {
        let mut play = stage.play(0).await;
        play.say("Count slowly").await;
        play.see("a call_tool_mcp").await;
        let mut looks = 0;
        while noted(&mut play.client, looks).await == 0 {
            looks += 1;
        }
        (play.id.clone(), play.token.clone())
    };
    stage.server.kill9();
    stage.server.restart().await;
    let mut client = Client::connect(&stage.server, &id, &token, -1).await;
    let seen = |wanted: &'static str| {
        move |frame: &Value| note(&frame["event"]).as_deref() == Some(wanted)
    };
    client.until(PROMPT, seen("= error ACTION_INTERRUPTED")).await;
    let frame = json!({ "type": "do", "ref": "on", "action": change("running") });
    assert!(
        eventually(PROMPT, || stage.models[0].open() == 0).await,
        "nobody is asked before somebody says so"
    );
    assert_eq!(client.ask(&frame).await["type"], "done");
    client.until(PROMPT, seen("[finished]")).await;
    assert_eq!(noted(&mut client, 10_000).await, 1, "it was called once");
    let events = stage.server.events(&id).await;
    assert_eq!(unpaired(&events), Vec::<String>::new());
    assert!(stage.models[0].asked()[1].body.to_string().contains("It was not repeated"));
}
