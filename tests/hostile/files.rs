//! Paths that leave the workspace, and operations that can't be.

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::{Row, Sent, stage::Stage, wire::Request};

const BAD: &str = "400 BAD_MESSAGE";

pub(crate) fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = vec![Row("files: preparing".into(), Sent::Steps(prepare), "0")];
    rows.extend(paths(stage));
    rows.extend(changes(stage));
    rows.extend(operations(stage));
    rows.push(Row(
        "files: a folder exchanged for a symlink all the time".into(),
        Sent::Steps(swap),
        "nothing came from outside",
    ));
    rows.push(Row("files: an upload that is cut".into(), Sent::Steps(cut), "404 NOT_FOUND"));
    rows.push(Row(
        "files: nothing was left".into(),
        Sent::Steps(left),
        "climb d loop magic out pipe plain root",
    ));
    rows
}

fn row(name: impl Into<String>, request: Request, wanted: &'static str) -> Row {
    Row(format!("files: {}", name.into()), Sent::Http(request), wanted)
}

/// Symlinks of a hostile command's making.
fn prepare(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let command = "ln -s /etc/passwd out; ln -s ../../../../../../../etc/passwd climb; ln -s / root; \
                       ln -s /proc/self/root magic; ln -s loop loop; mkfifo pipe; echo plain > plain; \
                       mkdir d; echo inside > d/passwd";
        let seen = stage.run(command).await;
        seen["extras"]["exit_code"].to_string()
    })
}

fn paths(stage: &Stage) -> Vec<Row> {
    const OUTSIDE: &str = "403 OUTSIDE_WORKSPACE";
    let long = "x".repeat(5000);
    let name = "x".repeat(300);
    let deep = "d/".repeat(2100);
    let cases: Vec<(&str, &'static str)> = vec![
        ("..", OUTSIDE),
        ("../", OUTSIDE),
        ("../../../../etc/passwd", OUTSIDE),
        ("a/../../etc/passwd", OUTSIDE),
        ("d/../../workspace/plain", OUTSIDE),
        ("%2e%2e/%2e%2e/etc/passwd", OUTSIDE),
        ("..%2f..%2fetc%2fpasswd", OUTSIDE),
        ("/etc/passwd", OUTSIDE),
        ("%2fetc%2fpasswd", OUTSIDE),
        ("/workspace/../etc/passwd", OUTSIDE),
        ("/workspaces/x", OUTSIDE),
        ("/", OUTSIDE),
        ("out", OUTSIDE),
        ("climb", OUTSIDE),
        ("root", OUTSIDE),
        ("root/etc/passwd", OUTSIDE),
        ("magic/etc/passwd", OUTSIDE),
        ("loop", "400 BAD_MESSAGE"),
        ("pipe", "400 BAD_MESSAGE"),
        ("a%00b", "400 BAD_MESSAGE"),
        (&long, "400 BAD_MESSAGE"),
        (&name, "400 BAD_MESSAGE"),
        (&deep, "400 BAD_MESSAGE"),
        ("%", "400 request.malformed_path"),
        ("%2", "400 request.malformed_path"),
        ("%zz", "400 request.malformed_path"),
        ("%ff", "400 request.malformed_path"),
        ("%c0%ae%c0%ae/x", "400 request.malformed_path"),
        ("%ed%a0%80", "400 request.malformed_path"),
        ("..%252f..%252fetc%252fpasswd", "404 NOT_FOUND"),
        ("..\\..\\etc\\passwd", "404 NOT_FOUND"),
        ("...", "404 NOT_FOUND"),
        ("plain/x", "409 NOT_DIRECTORY"),
        ("missing", "404 NOT_FOUND"),
        ("plain?stat=7x", "400 request.invalid_parameter"),
        ("plain?download=-1", "400 request.invalid_parameter"),
    ];
    let at = &stage.at;
    let get = |(path, wanted): (&str, &'static str)| {
        let shown: String = path.chars().take(40).collect();
        row(format!("GET {shown}"), Request::get(format!("{at}/files/{path}")), wanted)
    };
    cases.into_iter().map(get).collect()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn changes(stage: &Stage) -> Vec<Row> {
    let at = |path: &str| format!("{}/files/{path}", stage.at);
    let put = |path: &str| Request::put(at(path), "x").header("X-Force", "true");
    let large = || vec![0; (1 << 20) + 1];
    let new = |request: Request| request.header("If-None-Match", "*");
    vec![
        row("PUT of no path", put(""), "400 BAD_MESSAGE"),
        row("PUT of the workspace", put("d/.."), "400 BAD_MESSAGE"),
        row("PUT outside", put("../x"), "403 OUTSIDE_WORKSPACE"),
        row("PUT absolute", put("/tmp/x"), "403 OUTSIDE_WORKSPACE"),
        row("PUT through a symlink", put("out"), "403 OUTSIDE_WORKSPACE"),
        row("PUT through a symlink that climbs", put("climb"), "403 OUTSIDE_WORKSPACE"),
        row("PUT below a symlink", put("root/tmp/x"), "403 OUTSIDE_WORKSPACE"),
        row("PUT below a magic link", put("magic/tmp/x"), "403 OUTSIDE_WORKSPACE"),
        row(
            "PUT below a symlink, making folders",
            put("root/tmp/y/x?create_parents=1"),
            "403 OUTSIDE_WORKSPACE",
        ),
        row("PUT with NUL", put("a%00b"), "400 BAD_MESSAGE"),
        row("PUT with a long name", put(&"x".repeat(300)), "400 BAD_MESSAGE"),
        row("PUT over a folder", put("d"), "409 IS_DIRECTORY"),
        row("PUT below a file", put("plain/x"), "409 NOT_DIRECTORY"),
        row("PUT below nothing", put("no/x"), "404 NOT_FOUND"),
        row(
            "PUT with a parameter that is none",
            put("x?create_parents=yes"),
            "400 request.invalid_parameter",
        ),
        row(
            "PUT without a precondition",
            Request::put(at("plain"), "x"),
            "428 PRECONDITION_REQUIRED",
        ),
        row(
            "PUT with another version",
            Request::put(at("plain"), "x").header("If-Match", "\"sha256:0\""),
            "409 CONFLICT",
        ),
        row(
            "PUT of a version of nothing",
            Request::put(at("x"), "x").header("If-Match", "\"sha256:0\""),
            "409 CONFLICT",
        ),
        row("PUT of a new one that is there", new(Request::put(at("plain"), "x")), "409 CONFLICT"),
        row(
            "PUT with a force that is none",
            Request::put(at("plain"), "x").header("X-Force", "yes"),
            "428 PRECONDITION_REQUIRED",
        ),
        row("PUT over the limit", new(Request::put(at("large"), large())), "413 TOO_LARGE"),
        row(
            "PUT over the limit, in chunks",
            new(Request::put(at("large"), large()).chunked()),
            "413 TOO_LARGE",
        ),
        row(
            "DELETE without a precondition",
            Request::delete(at("plain")),
            "428 PRECONDITION_REQUIRED",
        ),
        row(
            "DELETE of another version",
            Request::delete(at("plain")).header("If-Match", "x"),
            "409 CONFLICT",
        ),
        row(
            "DELETE of a folder with content",
            Request::delete(at("d")).header("X-Force", "true"),
            "409 NOT_EMPTY",
        ),
        row(
            "DELETE of the workspace",
            Request::delete(at("")).header("X-Force", "true"),
            "400 BAD_MESSAGE",
        ),
        row(
            "DELETE outside",
            Request::delete(at("../x?recursive=1")).header("X-Force", "true"),
            "403 OUTSIDE_WORKSPACE",
        ),
        row(
            "DELETE below a symlink",
            Request::delete(at("root/tmp?recursive=1")).header("X-Force", "true"),
            "403 OUTSIDE_WORKSPACE",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn operations(stage: &Stage) -> Vec<Row> {
    let raw = |name: &str, body: Vec<u8>, wanted| {
        row(format!("op {name}"), Request::post(format!("{}/files", stage.at), body), wanted)
    };
    let op = |name: &str, op: Value, wanted| raw(name, op.to_string().into(), wanted);
    let write = |content: &str, encoding: &str| json!({ "op": "write", "path": "w", "content": content, "encoding": encoding });
    let big = "x".repeat((16 << 20) + 1);
    vec![
        raw("none", vec![], BAD),
        raw("broken JSON", b"{".to_vec(), BAD),
        raw("invalid UTF-8", b"{\"op\":\"stat\",\"path\":\"\xff\"}".to_vec(), BAD),
        raw("deep", vec![b'['; 100_000], BAD),
        raw("of 24 MiB and a byte", vec![b' '; (24 << 20) + 1], "413 request.too_large"),
        op("as an array", json!(["stat", "plain"]), BAD),
        op("unknown", json!({ "op": "chmod", "path": "plain" }), BAD),
        op("with an unknown field", json!({ "op": "stat", "path": "plain", "follow": true }), BAD),
        op("without a path", json!({ "op": "stat" }), BAD),
        op("with a negative offset", json!({ "op": "read", "path": "plain", "offset": -1 }), BAD),
        op(
            "with an offset beyond all",
            json!({ "op": "read", "path": "plain", "offset": 1e300 }),
            BAD,
        ),
        op(
            "with a negative mode",
            json!({ "op": "create", "path": "m", "content": "", "mode": -1 }),
            BAD,
        ),
        op("with a negative depth", json!({ "op": "list", "path": "", "depth": -1 }), BAD),
        op("read of a folder", json!({ "op": "read", "path": "d" }), "409 IS_DIRECTORY"),
        op("read of a pipe", json!({ "op": "read", "path": "pipe" }), BAD),
        op("list of a file", json!({ "op": "list", "path": "plain" }), "409 NOT_DIRECTORY"),
        op("list outside", json!({ "op": "list", "path": "root" }), "403 OUTSIDE_WORKSPACE"),
        op("mkdir of what is there", json!({ "op": "mkdir", "path": "d" }), "409 EXISTS"),
        op(
            "mkdir outside",
            json!({ "op": "mkdir", "path": "../x", "parents": true }),
            "403 OUTSIDE_WORKSPACE",
        ),
        op(
            "create of what is there",
            json!({ "op": "create", "path": "plain", "content": "" }),
            "409 EXISTS",
        ),
        op("create with NUL", json!({ "op": "create", "path": "a\0b", "content": "" }), BAD),
        op("write of broken base64", write("@@@@", "base64"), BAD),
        op("write of base64 without padding", write("YQ", "base64"), BAD),
        op("write of an unknown encoding", write("a", "latin1"), BAD),
        op("write of too much", write(&big, "utf8"), "413 TOO_LARGE"),
        op(
            "patch of another version",
            json!({ "op": "patch", "path": "plain", "if_match": "x", "edits": [] }),
            "409 CONFLICT",
        ),
        op("patch without a version", json!({ "op": "patch", "path": "plain", "edits": [] }), BAD),
        op(
            "rename out",
            json!({ "op": "rename", "path": "plain", "to": "../plain" }),
            "403 OUTSIDE_WORKSPACE",
        ),
        op(
            "rename through a symlink",
            json!({ "op": "rename", "path": "plain", "to": "root/tmp/plain" }),
            "403 OUTSIDE_WORKSPACE",
        ),
        op(
            "rename of nothing",
            json!({ "op": "rename", "path": "no", "to": "yes" }),
            "404 NOT_FOUND",
        ),
        op(
            "rename over another",
            json!({ "op": "rename", "path": "plain", "to": "d" }),
            "409 EXISTS",
        ),
        op("rename into itself", json!({ "op": "rename", "path": "d", "to": "d/e" }), BAD),
        op("rename of the workspace", json!({ "op": "rename", "path": "", "to": "x" }), BAD),
    ]
}

/// While a command exchanges a folder for a symlink to `/etc`, no read may bring what is there.
fn swap(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let command = "ln -s /etc away; mv d real; \
            ( while [ ! -e enough ]; do ln -sfn real d; ln -sfn /etc d; done; rm -f away d enough; mv real d ) & swap=$!";
        stage.run(command).await;
        let (mut inside, mut refused) = (0, 0);
        for _ in 0..200 {
            let answer = stage.ask(&Request::get(format!("{}/files/d/passwd", stage.at))).await;
            match answer.map(|answer| (answer.status, answer.body)) {
                Some((200, body)) if body == b"inside\n" => inside += 1,
                Some((403 | 404 | 503, _)) => refused += 1,
                other => return format!("{other:?}"),
            }
        }
        let seen = stage.run("touch enough; wait $swap; cat d/passwd").await;
        let content = seen["content"].as_str().unwrap_or_default();
        if !content.ends_with("inside") || inside + refused != 200 {
            return seen.to_string();
        }
        "nothing came from outside".into()
    })
}

/// A file whose bytes stop halfway does not come to be.
fn cut(stage: &Stage) -> LocalBoxFuture<'_, String> {
    use tokio::io::AsyncWriteExt as _;
    Box::pin(async {
        let request = Request::put(format!("{}/files/half", stage.at), vec![b'x'; 1000]);
        let bytes =
            request.header("If-None-Match", "*").bytes(stage.server.address(), &stage.server.token);
        let mut stream =
            tokio::net::TcpStream::connect(stage.server.address()).await.expect("it listens");
        stream.write_all(&bytes[..bytes.len() - 500]).await.expect("it takes them");
        drop(stream);
        let answer = stage.ask(&Request::get(format!("{}/files/half", stage.at))).await;
        answer.expect("an answer").shown()
    })
}

fn left(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let listed = stage.server.json(&format!("{}/files", stage.at)).await;
        let entries = listed["entries"].as_array().expect("entries");
        let mut names: Vec<_> = entries.iter().filter_map(|entry| entry["path"].as_str()).collect();
        names.sort_unstable();
        names.join(" ")
    })
}
