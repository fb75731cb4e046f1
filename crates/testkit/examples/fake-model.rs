//! The fake model as a program: `fake-model [--port N] [--script FILE]`. Prints `{"url":"http://127.0.0.1:N"}` and
//! runs until its standard input ends.

use std::io::{Read, Write};

use staithe_testkit::{FakeModel, model::Script};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut port = 0;
    let mut script = Script::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("a value for each option");
        match name.as_str() {
            "--port" => port = value.parse().expect("a port"),
            "--script" => {
                let text = std::fs::read_to_string(&value).expect("a script that can be read");
                script = serde_json::from_str(&text).expect("a script");
            }
            other => panic!("no such option: {other}"),
        }
    }
    let model = FakeModel::listen(port).await;
    model.add(script);
    let line = serde_json::json!({"url": model.url()});
    writeln!(std::io::stdout(), "{line}").expect("a standard output");
    let ends = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ends.await.expect("its own thread").expect("a standard input");
}
