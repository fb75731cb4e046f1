//! The tools that need a plugin, with a real kernel and a real browser: offered, used, and stopped.

use serde_json::{Value, json};
use staithe_testkit::model::Step;

use crate::{
    notes::unpaired,
    plugged,
    scene::{BEGIN, finish},
    stage::Stage,
};

/// A page of the agent's own, which its kernel serves: the sandbox's loopback is all that it needs, on every engine.
const SERVE: &str = r#"
import http.server, threading
PAGE = b"""<!doctype html><title>Harbour</title><h1>The tide table</h1>
<p>High water is at noon.</p><button onclick="document.title='Sailed'">Sail</button>"""
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)
    def log_message(self, *words):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("serves <http://127.0.0.1:%d/>" % server.server_port)
"#;

fn cell(code: &str) -> Step {
    Step::call("execute_ipython_cell", &json!({ "code": code, "security_risk": "LOW" }))
}

#[tokio::test]
async fn cells_and_pages_are_an_agents_tools_and_a_stop_reaches_a_cell() {
    let stage = plugged::stage().await;
    cells_and_pages(&stage).await;
    a_stop_ends_a_cell_and_the_kernel_keeps_what_it_knows(&stage).await;
}

async fn cells_and_pages(stage: &Stage) {
    let mut play = stage.play(0).await;
    play.model.script([cell("boats = 6 * 7\nprint('boats', boats)"), cell(SERVE), finish()]);
    play.say("Count, and serve the tide table").await;
    play.see("[finished]").await;
    let served = play.model.asked().last().unwrap().last_text();
    let url = served.split(['<', '>']).nth(1).unwrap_or_else(|| panic!("no address: {served}"));
    play.model.script([
        cell("boats + 1"),
        Step::call("web_read", &json!({ "url": url })),
        Step::call("browser", &json!({ "code": format!("goto('{url}')") })),
        finish(),
    ]);
    play.say("Read it").await;
    play.see("[finished]").await;
    let asked = play.model.asked();
    let results: Vec<String> =
        asked[1..].iter().map(staithe_testkit::model::Asked::last_text).collect();
    let parts = ["boats 42", "serves", "Read it", "43", "High water is at noon", "Sail"];
    assert_eq!(results.len(), parts.len(), "{results:?}");
    for (result, part) in results.iter().zip(parts) {
        assert!(result.contains(part), "no `{part}` in: {result}");
    }
    let cell = "a run_ipython | = run_ipython";
    assert_eq!(
        crate::notes::notes(&play.events).join(" | "),
        format!(
            "{BEGIN} | {cell} | {cell} | a finish | [finished] | u message | [running] | {cell} | \
             a browse | = browse | a browse_interactive | = browse | a finish | [finished]"
        )
    );
    assert_eq!(unpaired(&play.events), Vec::<String>::new());
}

async fn a_stop_ends_a_cell_and_the_kernel_keeps_what_it_knows(stage: &Stage) {
    let mut play = stage.play(1).await;
    play.model.script([cell("boats = 42"), cell("print('begun', flush=True)\nwhile True: pass")]);
    play.say("Count for ever").await;
    play.shown("begun").await;
    play.change("stopped").await;
    let ended = play.see("= run_ipython").await;
    let ended = if ended["cause"] == play.events[6]["id"] {
        play.see("= run_ipython").await
    } else {
        ended
    };
    assert!(ended["content"].as_str().unwrap().contains("KeyboardInterrupt"), "{ended}");
    play.model.script([cell("print(boats)"), finish()]);
    play.say("How many are there?").await;
    play.see("[finished]").await;
    let told: Vec<Value> =
        play.model.asked().last().map(|it| it.body.clone()).into_iter().collect();
    assert!(told[0].to_string().contains("42"), "{}", told[0]);
    assert_eq!(unpaired(&play.events), Vec::<String>::new());
}
