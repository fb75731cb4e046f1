//! What breaks on the way: cuts, silence, garbage, a turn that somebody stops; and what the log has of it.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use staithe_agent::{
    genai::{Wire, connect},
    model::FailureKind,
    settings::{ModelSettings, Provider},
};
use staithe_testkit::{FakeModel, eventually, model::Step};
use tokio::time::Instant;

use super::common::{ALL, KEY, ask, failure, failure_kind, question, settings, shown, user};

/// A step that says something in many pieces.
fn long() -> Step {
    Step { chunk: 2, ..Step::text("word after word after word") }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    for (provider, _) in ALL {
        // Anthropic begins with two frames without text, OpenAI with one.
        let cuts = [
            Step { cut_after: Some(0), ..long() },
            Step { cut_after: Some(6), ..long() },
            Step { stop_after: Some(6), ..long() },
            Step { stop_after: Some(0), ..long() },
            Step { cut_after: Some(6), bytes: 3, ..long() },
        ];
        for cut in cuts {
            let server = FakeModel::start().await;
            server.script([cut.clone()]);
            let (answer, pieces) =
                ask(&settings(&server, provider), &question(vec![user("Hi")])).await;
            let failed = answer.expect_err("it has no end");
            assert_eq!(failed.kind, FailureKind::Unavailable, "{provider:?} {cut:?}");
            let some = cut.cut_after.or(cut.stop_after) == Some(6);
            assert_eq!(!shown(&pieces).is_empty(), some, "{provider:?} {cut:?}: pieces were told");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_unavailable() {
    let bodies = [
        json!("<html><body>Sign in to the hotel's network</body></html>"),
        json!("data: {\"choices\": [\n\n"),
        json!("data: not json\n\nevent: message_start\ndata: {\n\n"),
        json!({"hello": "world"}),
        Value::Null,
    ];
    for (provider, _) in ALL {
        for body in &bodies {
            let server = FakeModel::start().await;
            server.script([Step {
                status: Some(200),
                body: Some(body.clone()),
                ..Step::default()
            }]);
            let failed = failure(&settings(&server, provider)).await;
            assert_eq!(failed.kind, FailureKind::Unavailable, "{provider:?} {body}: {failed}");
            assert!(!failed.message.contains('<'), "{failed}");
        }
    }
}

#[tokio::test]
async fn an_error_in_the_middle_is_told_as_what_it_is() {
    let errors = [
        (
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            FailureKind::Unavailable,
        ),
        (
            json!({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow"}}),
            FailureKind::RateLimited,
        ),
        (
            json!({"type": "error", "error": {"code": "context_length_exceeded", "message": "Long"}}),
            FailureKind::ContextTooLong,
        ),
        (json!({"type": "error", "error": {"code": 402, "message": "Pay"}}), FailureKind::NoCredit),
    ];
    for (provider, _) in ALL {
        for (error, kind) in &errors {
            let server = FakeModel::start().await;
            server.script([Step { insert: Some((3, error.clone())), ..long() }]);
            let failed = failure(&settings(&server, provider)).await;
            assert_eq!(failed.kind, *kind, "{provider:?} {error}: {failed}");
        }
    }
    let server = FakeModel::start().await;
    let blocked =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}});
    server.script([Step { insert: Some((0, blocked)), stop_after: Some(1), ..long() }]);
    assert_eq!(failure_kind(&settings(&server, Provider::Gemini)).await, FailureKind::Refused);
    let server = FakeModel::start().await;
    server.script([Step {
        insert: Some((0, json!({"error": "out of memory"}))),
        stop_after: Some(1),
        ..long()
    }]);
    let failed = failure(&settings(&server, Provider::Ollama)).await;
    assert!(
        failed.kind == FailureKind::Unavailable && failed.message.contains("out of memory"),
        "{failed}"
    );
}

#[tokio::test]
async fn an_end_without_the_last_frame_is_one() {
    // Some who speak OpenAI's protocol leave `[DONE]` out; usage came before.
    let server = FakeModel::start().await;
    server.script([Step { stop_after: Some(4), ..Step::text("whole") }]);
    let (answer, _) = ask(&settings(&server, Provider::Openai), &question(vec![user("Hi")])).await;
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), answer.usage.input), ("whole", 100));
}

#[tokio::test]
async fn silence_ends_an_answer() {
    for (provider, _) in ALL {
        for step in [Step { silent: true, ..long() }, Step { hold_after: Some(5), ..long() }] {
            let server = FakeModel::start().await;
            server.script([step.clone()]);
            let silence = Duration::from_millis(60);
            let settings = ModelSettings { silence, ..settings(&server, provider) };
            let began = Instant::now();
            let failed = failure(&settings).await;
            assert_eq!(failed.kind, FailureKind::Unavailable, "{provider:?}");
            assert!(failed.message.ends_with("within 0.06 s"), "{failed}");
            assert!(began.elapsed() >= silence);
            eventually("the connection is closed", || server.open() == 0).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_held_goes_on() {
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        server.script([Step { hold_after: Some(5), ..long() }]);
        server.release();
        let (answer, _) = ask(&settings(&server, provider), &question(vec![user("Hi")])).await;
        assert_eq!(answer.unwrap().text, long().text, "{provider:?}");
    }
}

#[tokio::test]
async fn whoever_drops_an_answer_hangs_up_at_once() {
    let wire = Wire::new().unwrap();
    for (provider, _) in ALL {
        for step in [Step { silent: true, ..long() }, Step { hold_after: Some(6), ..long() }] {
            let server = FakeModel::start().await;
            server.script([step.clone()]);
            let model = connect(&wire, &settings(&server, provider)).unwrap();
            let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
            let asking = tokio::spawn(async move {
                let asked = question(vec![user("Hi")]);
                model.answer(&asked, &mut |piece| tell.send(piece).unwrap()).await
            });
            if step.silent {
                eventually("it is asked", || server.asked().len() == 1).await;
            } else {
                heard.recv().await.expect("a piece");
            }
            assert_eq!(server.open(), 1);
            let began = Instant::now();
            asking.abort();
            eventually("the connection is closed", || server.open() == 0).await;
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "{provider:?}: {:?}",
                began.elapsed()
            );
        }
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_told_without_the_address() {
    let server = FakeModel::start().await;
    let mut settings = settings(&server, Provider::Openai);
    // A port that nobody listens on: it was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    settings.base_url = format!("http://user:geheimnis@{free}/v1");
    let failed = failure(&settings).await;
    assert_eq!(failed.kind, FailureKind::Unavailable);
    assert!(failed.message.starts_with("no connection to the model's address: "), "{failed}");
    assert!(
        !failed.message.contains("geheimnis") && !failed.message.contains("127.0.0.1"),
        "{failed}"
    );
}

#[tokio::test]
async fn a_key_that_can_not_be_sent_is_a_bad_question() {
    let server = FakeModel::start().await;
    for (provider, _) in ALL {
        let settings = ModelSettings { key: Some("a\nb".into()), ..settings(&server, provider) };
        let failed = failure(&settings).await;
        assert_eq!(failed.kind, FailureKind::BadQuestion, "{provider:?}: {failed}");
    }
    assert_eq!(server.asked().len(), 0);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_key_nor_question_is_in_the_log_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log is kept");
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        let told =
            json!({"error": {"message": format!("no such key: {KEY}; you said: the-question")}});
        server.script([
            Step::error(401, told.clone()),
            Step { insert: Some((2, told.clone())), ..long() },
            Step { insert: Some((2, json!({"type": "error", "error": told}))), ..long() },
            Step {
                status: Some(200),
                body: Some(json!(format!("data: {KEY}\n\n"))),
                ..Step::default()
            },
            Step::text("the-question"),
        ]);
        let settings = settings(&server, provider);
        for _ in 0..5 {
            // How it ends is shown elsewhere.
            ask(&settings, &question(vec![user("the-question")])).await.0.ok();
        }
        assert_eq!(server.left(), 0);
    }
    let kept = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(kept.contains("the log is kept"));
    for secret in [KEY, "the-question"] {
        let line = kept.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
