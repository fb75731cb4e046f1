//! How a run ends before its agent does: Ctrl-C, a server that dies.

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    bench::{LIMIT, bash, begun, bench, ended, err, finish, sees},
    common::processes,
};

#[tokio::test]
async fn an_interrupt_stops_the_agent_and_its_command_within_a_second() {
    let bench = bench([bash("sleep 600"), finish("Never said.")]).await;
    let child = begun(&bench, &["run", "wait"]);
    sees(&bench, |event| event["action"] == "run").await;
    processes::interrupt(child.id().unwrap());
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let said = ended(&output, 130);
    assert!(said.contains("■ stopping the agent") && said.contains("■ stopped"), "{said}");
    let (_, events) = sees(&bench, |event| event["extras"]["agent_state"] == "stopped").await;
    let at = |is: &dyn Fn(&Value) -> bool| {
        let event = events.iter().find(|event| is(event)).unwrap();
        event["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap()
    };
    let asked = at(&|event| event["args"]["agent_state"] == "stopped");
    let stopped = at(&|event| event["extras"]["agent_state"] == "stopped");
    assert!(stopped.duration_since(asked).as_millis() < 1000, "{asked} {stopped}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_joined_again_without_an_event_lost_or_doubled() {
    let mut held = bash("echo 2");
    held.silent = true;
    let mut bench = bench([bash("echo 1"), held]).await;
    let child = begun(&bench, &["run", "--json", "count"]);
    sees(&bench, |event| event["observation"] == "run").await;
    bench.server.kill9();
    bench.server.restart().await;
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let said = ended(&output, 1);
    assert!(err(&output).contains("the connection is lost"), "{}", err(&output));
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = lines.iter().filter_map(|line| line["event"]["id"].as_u64()).collect();
    assert_eq!(ids, (0..ids.len() as u64).collect::<Vec<_>>());
    assert_eq!(lines.last().unwrap()["code"], "agent.paused");
}
