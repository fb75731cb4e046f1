//! Guessed tokens, used links, and signing in as a way to somewhere else.

use futures_util::future::LocalBoxFuture;

use crate::{Row, Sent, stage::Stage, wire::Request};

pub(crate) fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = vec![Row("sign-in: a link twice".into(), Sent::Steps(twice), "303 / 401 -")];
    rows.extend(redirections(stage));
    rows.extend(forms());
    rows.push(Row(
        "sign-in: 30 guesses".into(),
        Sent::Steps(guess),
        "5 × 401, 25 × 429 auth.too_many_attempts",
    ));
    rows
}

fn form(body: String) -> Request {
    Request::post("/login", body)
        .anonymous()
        .header("Content-Type", "application/x-www-form-urlencoded")
}

fn redirections(stage: &Stage) -> Vec<Row> {
    let elsewhere = [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "%2F%2Fevil.example",
        "/%09/evil.example",
        "/%5Cevil.example",
        "/%0d%0aSet-Cookie:x=y",
        "%20//evil.example",
        "/%0a/evil.example",
        "/%00/evil.example",
        "evil.example",
        "",
    ];
    let mut rows: Vec<Row> = elsewhere
        .into_iter()
        .map(|next| {
            let request = form(format!("token={}&next={next}", stage.server.token));
            Row(format!("sign-in: on to {next:?}"), Sent::Http(request), "303 /")
        })
        .collect();
    let fine = form(format!("token={}&next=/sessions/{}", stage.server.token, stage.sid));
    rows.push(Row("sign-in: on to a page of ours".into(), Sent::Http(fine), "303 /sessions/…"));
    rows
}

fn forms() -> Vec<Row> {
    let row =
        |name: &str, request, wanted| Row(format!("sign-in: {name}"), Sent::Http(request), wanted);
    let get = |query: &str| Request::get(format!("/login?{query}")).anonymous();
    vec![
        row("no token", form("next=/".into()), "400 request.malformed_form"),
        row("two tokens", form("token=a&token=b".into()), "400 request.malformed_form"),
        row(
            "no form",
            Request::post("/login", "{}").anonymous().header("Content-Type", "application/json"),
            "400 request.malformed_form",
        ),
        row(
            "64 KiB and more",
            form(format!("token={}", "x".repeat(65 * 1024))),
            "413 request.too_large",
        ),
        row("two links", get("token=a&token=b"), "400 request.malformed_query"),
        row("a link that is none", get("token=x"), "401 -"),
    ]
}

fn twice(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let path = stage.server.login_url.strip_prefix(&stage.server.url).expect("a path");
        let request = Request::get(path).anonymous();
        let (first, second) = (stage.ask(&request).await, stage.ask(&request).await);
        let (first, second) = (first.expect("an answer"), second.expect("an answer"));
        assert!(second.header("set-cookie").is_none(), "{}", second.head);
        format!("{} {}", first.shown(), second.shown())
    })
}

fn guess(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let (mut wrong, mut too_many) = (0, 0);
        for attempt in 0..30 {
            let answer =
                stage.ask(&form(format!("token=guess-{attempt}"))).await.expect("an answer");
            assert!(answer.header("set-cookie").is_none(), "{}", answer.head);
            match answer.status {
                401 => wrong += 1,
                429 if String::from_utf8_lossy(&answer.body).contains("auth.too_many_attempts") => {
                    too_many += 1;
                }
                _ => return answer.shown(),
            }
        }
        format!("{wrong} × 401, {too_many} × 429 auth.too_many_attempts")
    })
}
