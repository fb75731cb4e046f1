//! Programs that behave.

use serde_json::json;
use staithe_agent::mcp::settings::{McpPhase, ToolFilter};
use staithe_protocol::Observation;

use super::{call, error, eventually, is, python, said, settled, until};

#[tokio::test]
async fn tools_are_offered_and_called_and_all_they_answer_is_kept() {
    let hub = settled(vec![python("one", "plain")]).await;
    let state = &hub.states()[0];
    assert_eq!((state.state, state.reason.as_deref()), (McpPhase::Up, None));
    let tools = hub.tools();
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let all =
        ["big", "crash", "echo", "one_env", "fails", "grow", "hang", "huge", "refuses", "rich"];
    assert_eq!(names, all, "a name that we have ourselves gets the server's before it");
    assert_eq!(state.tools, all);
    assert_eq!(tools[2].description, "Does echo");
    assert_eq!(tools[2].parameters, json!({ "type": "object" }));

    let arguments = json!({ "a": [1, "ä\n"], "b": null });
    assert_eq!(said(&hub, "echo", arguments).await, "{\"a\": [1, \"\\u00e4\\n\"], \"b\": null}");
    let Observation::Mcp(rich) = call(&hub, "rich").await else { panic!("no result") };
    assert_eq!((rich.name.as_str(), rich.arguments.len()), ("rich", 0));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&rich.content).unwrap(),
        json!({
            "content": [
                { "type": "image", "data": "iVBORw0=", "mimeType": "image/png" },
                { "type": "resource_link", "uri": "file:///a", "name": "a" },
            ],
            "structuredContent": { "n": 1 },
            "isError": false,
        })
    );
    let Observation::Mcp(failed) = call(&hub, "fails").await else { panic!("no result") };
    let told = staithe_agent::mcp::content::told(&failed.content);
    assert_eq!((told.text.as_str(), told.is_error), ("it went wrong", true));
    // It has its secret, and nobody else is told it.
    assert_eq!(said(&hub, "one_env", json!({})).await, "***");
    let hub = std::sync::Arc::new(hub);
    // On whatever thread.
    let refused = tokio::spawn({
        let hub = std::sync::Arc::clone(&hub);
        async move { call(&hub, "refuses").await }
    });
    let refused = refused.await.unwrap();
    assert_eq!(
        error(&refused),
        "ERROR: The MCP server `one` refused the call (-32602): no such argument ***"
    );
    let unknown = call(&hub, "no_such_tool").await;
    assert!(error(&unknown).contains("no_such_tool"), "{unknown:?}");
}

#[tokio::test]
async fn tools_of_one_name_are_told_apart_and_only_those_that_are_wanted_are_offered() {
    let mut other = python("two", "plain");
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    other.filter = ToolFilter { allow: list(&["e*", "rich"]), deny: list(&["env"]) };
    let hub = settled(vec![python("one", "plain"), other]).await;
    let names: Vec<String> = hub.tools().into_iter().map(|tool| tool.name).collect();
    assert!(names.starts_with(&list(&["big", "crash", "one_echo", "one_env"])), "{names:?}");
    assert!(names.ends_with(&list(&["two_echo", "two_rich"])), "{names:?}");
    assert_eq!(hub.server_of("two_rich").as_deref(), Some("two"));
    assert_eq!(said(&hub, "two_echo", json!({ "n": 2 })).await, "{\"n\": 2}");
    assert_eq!(said(&hub, "one_big", json!({})).await.len().min(60_000), 60_000, "its long name");
    assert_eq!(hub.server_of("two_env"), None, "it is denied");
}

#[tokio::test]
async fn a_list_may_have_pages_and_change() {
    let hub = settled(vec![python("paged", "paged"), python("one", "plain")]).await;
    assert_eq!(hub.states()[0].tools, ["page0", "page1", "page2", "page3", "page4"]);
    assert_eq!(said(&hub, "page4", json!({})).await, "called page4");
    assert_eq!(said(&hub, "grow", json!({})).await, "grown");
    until(&hub, "one", |state| state.tools.contains(&"grown".to_owned())).await;
    assert_eq!(said(&hub, "grown", json!({})).await, "called grown");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled_there() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    let hub = settled(vec![super::noting(python("one", "plain"), &notes)]).await;
    let heard = |word: &'static str| {
        let notes = notes.clone();
        move || std::fs::read_to_string(&notes).ok().filter(|text| text.contains(word))
    };
    tokio::select! {
        _ = call(&hub, "hang") => panic!("it never answers"),
        _ = eventually("it hangs", heard("hangs")) => {}
    }
    eventually("it is told", heard("cancelled")).await;
    assert_eq!(said(&hub, "echo", json!({})).await, "{}", "others are answered all the while");
    assert!(is(McpPhase::Up)(&hub.states()[0]));
}
