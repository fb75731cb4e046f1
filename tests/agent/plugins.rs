//! The tools that need a plugin, with a real kernel and a real browser: offered, used, and stopped.

use std::path::Path;

use serde_json::{Value, json};
use staithe_testkit::model::Step;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    notes::unpaired,
    scene::{BEGIN, finish},
    stage::Stage,
};

const PAGE: &str = "<!doctype html><title>Harbour</title><h1>The tide table</h1>\
                    <p>High water is at noon.</p><button onclick=\"document.title='Sailed'\">Sail</button>";

/// A page of our own; its address.
async fn site() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                // A request of a browser for a page comes in one piece; whatever it says, it gets this page.
                if stream.read(&mut head).await.is_err() {
                    return;
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{PAGE}",
                    PAGE.len()
                );
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    url
}

async fn stage() -> Stage {
    let jupyter = tokio::task::spawn_blocking(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        crate::kernel::jupyter(root, Path::new(env!("CARGO_TARGET_TMPDIR")))
    });
    let jupyter = jupyter.await.unwrap();
    let prefix = |program: &Path| program.parent().and_then(Path::parent).unwrap().to_owned();
    // Its Python may be one of this machine that lies elsewhere.
    let python = prefix(&jupyter.with_file_name("python").canonicalize().unwrap());
    let mut shown = vec![prefix(jupyter)];
    shown.extend((!python.starts_with("/usr")).then_some(python));
    let tables = format!(
        "confirm = \"never\"\n[sandbox]\nplugins = [\"jupyter\", \"browser\"]\n\
         [sandbox.local]\nread_only_paths = {shown:?}\n\
         [plugins]\ndeadline = \"2m\"\n[plugins.jupyter]\npaths = [\"{}\"]\n",
        jupyter.display(),
    );
    Stage::new(&[""], &tables).await
}

fn cell(code: &str) -> Step {
    Step::call("execute_ipython_cell", &json!({ "code": code, "security_risk": "LOW" }))
}

#[tokio::test]
async fn cells_and_pages_are_an_agents_tools() {
    let (url, stage) = (site().await, stage().await);
    let mut play = stage.play(0).await;
    play.model.script([
        cell("boats = 6 * 7\nprint('boats', boats)"),
        cell("boats + 1"),
        Step::call("web_read", &json!({ "url": url })),
        Step::call("browser", &json!({ "code": format!("goto('{url}')") })),
        finish(),
    ]);
    play.say("Count, and read the tide table").await;
    play.see("[finished]").await;
    let asked = play.model.asked();
    let results: Vec<String> =
        asked[1..].iter().map(staithe_testkit::model::Asked::last_text).collect();
    for (result, part) in results.iter().zip(["boats 42", "43", "High water is at noon", "Sail"]) {
        assert!(result.contains(part), "no `{part}` in: {result}");
    }
    assert_eq!(
        crate::notes::notes(&play.events).join(" | "),
        format!(
            "{BEGIN} | a run_ipython | = run_ipython | a run_ipython | = run_ipython | a browse | = browse | \
             a browse_interactive | = browse | a finish | [finished]"
        )
    );
    assert_eq!(unpaired(&play.events), Vec::<String>::new());
}

#[tokio::test]
async fn a_stop_ends_a_cell_and_the_kernel_keeps_what_it_knows() {
    let stage = stage().await;
    let mut play = stage.play(0).await;
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
