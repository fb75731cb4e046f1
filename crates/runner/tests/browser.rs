//! The browser plugin with a real Chromium (Debian's package `chromium`) and pages of our own.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

mod common;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use common::{Line, Runner, limits};
use serde_json::{Value, json};
use staithe_protocol::{
    Action, Observation,
    observation::BrowseObservation,
    plugin::{PluginPhase, PluginSettings},
    runner::{Answer, Call, FromRunner},
    services::Services,
};

const FORM: &str = r#"<!doctype html><title>Form</title><h1>A form</h1>
<p>Some <b>text</b> and <a href="/second">a link</a>.</p>
<ul><li>one<li>two</ul>
<input id=who aria-label="Name"><input id=day type=date aria-label="Day">
<select id=colour aria-label="Colour"><option value=r>Red<option value=b>Blue</select>
<button id=save onclick="out.textContent = who.value + '/' + colour.value + '/' + day.value">Save</button>
<button onclick="alert('be aware')">Alert</button>
<button onclick="out.textContent = 'asked ' + confirm('sure?')">Confirm</button>
<button onclick="window.open('/second')">Window</button>
<button ondblclick="out.textContent = 'twice'">Twice</button>
<input id=keys aria-label="Keys" onkeydown="out.textContent = event.key + event.ctrlKey">
<input type=file id=file aria-label="File" onchange="this.files[0].text().then(t => out.textContent = t)">
<button disabled>Off</button>
<a href="/download">Get it</a>
<iframe src="/inner" width=300 height=80></iframe>
<p id=out>nothing yet</p><div style="height:3000px"></div><button onclick="out.textContent='far'">Far</button>
"#;

/// A server of pages; what was asked of it.
struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let site = Self { port, asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                std::thread::spawn(move || serve(stream, &asked));
            }
        });
        site
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap_or(0) > 2 {}
    let path = head.split_whitespace().nth(1).unwrap_or("/").to_owned();
    asked.lock().unwrap().push(path.clone());
    let (more, body) = match path.as_str() {
        "/form" => ("Content-Type: text/html; charset=utf-8\r\n", FORM.as_bytes().to_vec()),
        "/inner" => (
            "Content-Type: text/html\r\n",
            b"<p>inside<button onclick=\"this.textContent='pressed'\">Inner</button>".to_vec(),
        ),
        "/second" => {
            ("Content-Type: text/html\r\n", b"<title>2</title><h2>The second</h2>".to_vec())
        }
        "/download" => (
            "Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"../re port.pdf\"\r\n",
            b"%PDF bytes".to_vec(),
        ),
        "/huge" => ("Content-Type: text/html\r\n", "<p>word </p>".repeat(200_000).into_bytes()),
        // An element deep inside, below more levels than are asked for at once.
        "/deep" => (
            "Content-Type: text/html\r\n",
            format!("{}<button>Deepest</button>", "<div>".repeat(150)).into_bytes(),
        ),
        // More in one attribute than is taken of the browser at once.
        "/heavy" => (
            "Content-Type: text/html\r\n",
            format!("<h1>Heavy</h1><p data-x=\"{}\">", "x".repeat(20_000_000)).into_bytes(),
        ),
        // It never ends.
        "/slow" => {
            let begun = format!("<h1>begun</h1><p>{}", "x ".repeat(4000));
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
            drop(stream.write_all(format!("{head}{begun}").as_bytes()));
            drop(stream.read(&mut [0; 1]));
            return;
        }
        _ => ("Content-Type: text/html\r\n", b"<h1>Nothing</h1>".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
}

/// A runner with the plugin, and a line to it.
async fn stage(paths: &[&str]) -> (Runner, Line) {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let mut plugins = PluginSettings {
        wanted: vec!["browser".to_owned()],
        deadline_ms: 60_000,
        ..Default::default()
    };
    plugins.browser.paths = paths.iter().map(|&path| path.to_owned()).collect();
    let services = Services { plugins, ..Services::default() };
    assert_eq!(line.call(Call::Equip { services }).await, Answer::Equipped {});
    (runner, line)
}

async fn act(line: &mut Line, name: &str, args: Value) -> Observation {
    let action: Action = serde_json::from_value(json!({ "action": name, "args": args })).unwrap();
    let id = line.begin_act(action, limits()).await;
    line.observe(id).await
}

async fn seen(line: &mut Line, name: &str, args: Value) -> BrowseObservation {
    match act(line, name, args).await {
        Observation::Browse(page) => page,
        other => panic!("no page: {other:?}"),
    }
}

async fn browse(line: &mut Line, url: &str) -> BrowseObservation {
    seen(line, "browse", json!({ "url": url, "return_axtree": true })).await
}

async fn does(line: &mut Line, calls: &str) -> BrowseObservation {
    let page = seen(line, "browse_interactive", json!({ "browser_actions": calls })).await;
    assert!(!page.error, "{calls}: {}", page.content);
    page
}

async fn fails(line: &mut Line, calls: &str) -> String {
    let page = seen(line, "browse_interactive", json!({ "browser_actions": calls })).await;
    assert!(page.error, "{calls}: {}", page.content);
    assert!(page.content.starts_with(&page.last_browser_action_error), "{}", page.content);
    page.last_browser_action_error
}

/// The number of the element that the tree shows with these words.
#[track_caller]
fn bid(page: &BrowseObservation, words: &str) -> String {
    let line = page.content.lines().find(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("no {words} in {}", page.content));
    line.trim().trim_start_matches('[').split(']').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_is_seen_as_text_picture_and_tree() {
    let (site, (_runner, mut line)) = (Site::start(), stage(&[]).await);
    let page = browse(&mut line, &site.url("/form")).await;
    assert!(!page.error, "{}", page.content);
    assert_eq!(page.url, site.url("/form"));
    assert_eq!((page.trigger_by_action.as_str(), page.active_page_index), ("browse", 0));
    assert_eq!(page.open_pages_urls, [site.url("/form")]);
    for text in [
        "# A form",
        &format!("Some text and [a link]({}).", site.url("/second")),
        "- one",
        "inside",
    ] {
        assert!(page.content.contains(text), "{text}: {}", page.content);
    }
    let picture = page.screenshot.strip_prefix("data:image/png;base64,").unwrap();
    let picture = data_encoding::BASE64.decode(picture.as_bytes()).unwrap();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 1000);
    let save = bid(&page, "button 'Save'");
    let known = &page.extra_element_properties[&save];
    assert_eq!((&known["clickable"], known["visibility"].as_f64()), (&json!(true), Some(1.0)));
    assert_eq!(known["bbox"].as_array().unwrap().len(), 4);
    let nodes = page.axtree_object["nodes"].as_array().unwrap();
    assert!(nodes.iter().any(|node| node["browsergym_id"] == save.as_str()));
    assert!(bid(&page, "button 'Inner'").starts_with('a'), "a frame's elements have its letter");
    let plain = seen(&mut line, "browse", json!({ "url": site.url("/second") })).await;
    assert!(plain.content.contains("## The second") && !plain.content.contains("Accessibility"));
    assert!(plain.axtree_object.is_empty());
}

#[tokio::test]
async fn a_page_is_operated_by_the_numbers_of_its_elements() {
    let (site, (runner, mut line)) = (Site::start(), stage(&[]).await);
    let page = browse(&mut line, &site.url("/form")).await;
    let of = |words: &str| bid(&page, words);
    let (name, day, colour, save) =
        (of("textbox 'Name'"), of("Date 'Day'"), of("combobox 'Colour'"), of("button 'Save'"));
    let filled = does(
        &mut line,
        &format!("fill('{name}', 'Ä \"x\"')\nfill('{day}', '2026-11-26')\nselect_option('{colour}', 'Blue')\nclick('{save}')"),
    )
    .await;
    assert!(filled.content.contains("Ä \"x\"/b/2026-11-26"), "{}", filled.content);
    assert_eq!(filled.focused_element_bid, save);
    assert!(filled.last_browser_action.starts_with("fill("));

    let page =
        does(&mut line, &format!("fill('{name}', 'other'); clear('{name}'); click('{save}')"))
            .await;
    assert!(
        page.content.contains("/b/2026-11-26") && !page.content.contains("other"),
        "{}",
        page.content
    );
    let page = does(&mut line, &format!("press('{}', 'Control+b')", of("textbox 'Keys'"))).await;
    assert!(page.content.contains("btrue"), "{}", page.content);
    let page = does(&mut line, &format!("dblclick('{}')", of("button 'Twice'"))).await;
    assert!(page.content.contains("twice"));
    let page = does(&mut line, &format!("click('{}')", of("button 'Far'"))).await;
    assert!(page.content.contains("far"));
    let page = does(&mut line, &format!("click('{}')", of("button 'Inner'"))).await;
    assert!(page.content.contains("pressed"), "{}", page.content);
    std::fs::write(runner.workspace().join("up.txt"), "from a file").unwrap();
    let page =
        does(&mut line, &format!("upload_file('{}', 'up.txt'); noop(200)", of("'File'"))).await;
    assert!(page.content.contains("from a file"), "{}", page.content);

    let page = does(&mut line, &format!("click('{}')", of("button 'Alert'"))).await;
    assert!(
        page.content.contains("dialog (alert), which was accepted: be aware"),
        "{}",
        page.content
    );
    let page = does(&mut line, &format!("click('{}')", of("button 'Confirm'"))).await;
    assert!(page.content.contains("asked false"), "{}", page.content);
    let page = does(&mut line, "send_msg_to_user('done it')").await;
    assert!(page.content.contains("[Message to the user: done it]"));
    let page = does(&mut line, "scroll(0, 500)\nnoop(300)").await;
    assert!(page.extra_element_properties[&save]["visibility"].as_f64() < Some(1.0));
}

#[tokio::test]
async fn pages_are_gone_through_and_opened_beside_each_other() {
    let (site, (_runner, mut line)) = (Site::start(), stage(&[]).await);
    let form = browse(&mut line, &site.url("/form")).await;
    let anchor = bid(&form, "link 'a link'");
    let page = does(&mut line, &format!("click('{anchor}')")).await;
    assert_eq!(page.url, site.url("/second"));
    assert_eq!(does(&mut line, "go_back()").await.url, site.url("/form"));
    assert_eq!(does(&mut line, "go_forward()").await.url, site.url("/second"));
    let page = does(&mut line, &format!("new_tab()\ngoto('{}')", site.url("/form"))).await;
    assert_eq!((page.open_pages_urls.len(), page.active_page_index), (2, 1));
    let window = bid(&browse(&mut line, &site.url("/form")).await, "button 'Window'");
    let page = does(&mut line, &format!("click('{window}')\nnoop(500)")).await;
    assert_eq!((page.url, page.open_pages_urls.len()), (site.url("/second"), 3));
    let page = does(&mut line, "tab_focus(1)").await;
    assert_eq!((page.url, page.active_page_index), (site.url("/form"), 1));
    for left in [2, 1, 1] {
        assert_eq!(does(&mut line, "tab_close()").await.open_pages_urls.len(), left);
    }
    assert!(fails(&mut line, "tab_focus(9)").await.contains("there are 1"));
}

#[tokio::test]
async fn what_goes_wrong_is_said_and_the_page_is_seen_all_the_same() {
    let (site, (_runner, mut line)) = (Site::start(), stage(&[]).await);
    browse(&mut line, &site.url("/second")).await;
    assert!(
        fails(&mut line, "click('9999')").await.contains("no element with the number \"9999\"")
    );
    assert!(fails(&mut line, "dance()").await.contains("no call \"dance\""));
    assert!(fails(&mut line, "goto('javascript:alert(1)')").await.contains("no address"));
    assert!(fails(&mut line, "goto('chrome://settings')").await.contains("no address"));
    assert!(fails(&mut line, "goto('http://127.0.0.1:1/')").await.contains("ERR_"));
    let page = seen(&mut line, "browse", json!({ "url": "http://no.such.host.invalid/" })).await;
    assert!(page.error && page.content.contains("ERR_"), "{}", page.content);
    let form = browse(&mut line, &site.url("/form")).await;
    let off = bid(&form, "button 'Off'");
    assert!(fails(&mut line, &format!("click('{off}')")).await.contains("disabled"));
    let select = bid(&form, "combobox 'Colour'");
    let wrong = fails(&mut line, &format!("select_option('{select}', 'Green')")).await;
    assert!(wrong.contains("\"Red\", \"Blue\""), "{wrong}");
    let page = browse(&mut line, &site.url("/huge")).await;
    assert!(page.content.len() < 100_000, "{}", page.content.len());
    let page = browse(&mut line, &site.url("/slow")).await;
    assert!(page.content.contains("begun"), "{}", page.content);
}

#[tokio::test]
async fn a_page_too_heavy_for_its_tree_is_seen_without_and_a_deep_one_has_its_numbers() {
    let (site, (_runner, mut line)) = (Site::start(), stage(&[]).await);
    let page = does(&mut line, &format!("goto('{}')", site.url("/heavy"))).await;
    assert!(page.content.contains("# Heavy"), "{}", page.content);
    assert!(page.content.contains("[There is no accessibility tree:"), "{}", page.content);
    let page = browse(&mut line, &site.url("/deep")).await;
    let deepest = bid(&page, "button 'Deepest'");
    does(&mut line, &format!("click('{deepest}')")).await;
    let restarted = |news: &FromRunner| matches!(news, FromRunner::Plugin { plugin } if plugin.state == PluginPhase::Restarting);
    assert!(!line.news.iter().any(restarted), "{:?}", line.news);
}

#[tokio::test]
async fn a_download_is_a_file_in_the_workspace() {
    let (site, (runner, mut line)) = (Site::start(), stage(&[]).await);
    let downloads = runner.dir.path().join("state/browser/downloads");
    std::fs::create_dir_all(&downloads).unwrap();
    std::fs::write(downloads.join("an-earlier-one"), "left").unwrap();
    for number in 1..=2 {
        let got = act(&mut line, "browse", json!({ "url": site.url("/download") })).await;
        let Observation::Download(got) = got else { panic!("no download: {got:?}") };
        let path = runner.workspace().join(format!("file_{number}.pdf"));
        assert_eq!(got.file_path, path.to_str().unwrap());
        assert_eq!(std::fs::read(path).unwrap(), b"%PDF bytes");
    }
    let anchor = bid(&browse(&mut line, &site.url("/form")).await, "link 'Get it'");
    let calls = json!({ "browser_actions": format!("click('{anchor}')") });
    let got = act(&mut line, "browse_interactive", calls).await;
    assert!(matches!(got, Observation::Download(_)), "{got:?}");
    assert_eq!(std::fs::read_dir(downloads).unwrap().count(), 0, "nothing is left beside");
}

#[tokio::test]
async fn what_is_no_address_is_a_file_of_the_workspace() {
    let (runner, mut line) = stage(&[]).await;
    std::fs::write(runner.workspace().join("a page.html"), "<h1>From the disk</h1>").unwrap();
    let page = browse(&mut line, "a page.html").await;
    assert!(
        page.content.contains("# From the disk") && page.url == "a page.html",
        "{}",
        page.content
    );
    let page = browse(&mut line, "none.html").await;
    assert!(page.error && page.content.contains("ERR_FILE_NOT_FOUND"), "{}", page.content);
}

#[tokio::test]
async fn a_browser_that_dies_begins_anew() {
    let (site, (runner, mut line)) = (Site::start(), stage(&[]).await);
    browse(&mut line, &site.url("/second")).await;
    let kill =
        format!("pkill -KILL -f {}/browser/profile", runner.dir.path().join("state").display());
    line.run(&kill).await;
    let restarted = |news: &FromRunner| matches!(news, FromRunner::Plugin { plugin } if plugin.state == PluginPhase::Restarting);
    while !line.news.iter().any(restarted) {
        line.take_one().await;
    }
    let page = browse(&mut line, &site.url("/second")).await;
    assert!(!page.error && page.content.contains("The second"), "{}", page.content);
}

#[tokio::test]
async fn no_chromium_is_said_with_what_to_do() {
    let runner = Runner::start_with(|command| {
        command.env("PATH", "/nowhere");
    })
    .await;
    let mut line = runner.line().await;
    let page = seen(&mut line, "browse", json!({ "url": "https://example.com" })).await;
    assert!(page.error && page.content.contains("not part of this session"), "{}", page.content);
    drop(line);
    if std::path::Path::new("/usr/lib/chromium/chromium").exists() {
        // Debian's own place is known whatever the PATH says; so a browser that is none stands in.
        let none = runner.dir.path().join("none");
        std::fs::write(&none, "#!/bin/sh\nexit 3\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&none, mode).unwrap();
        let (_runner, mut line) = stage(&[none.to_str().unwrap()]).await;
        let page = browse(&mut line, "https://example.com").await;
        assert!(page.error && page.content.contains("browser"), "{}", page.content);
    }
}

#[tokio::test]
async fn nothing_of_it_is_left_and_no_port_is_open() {
    let (site, (mut runner, mut line)) = (Site::start(), stage(&[]).await);
    browse(&mut line, &site.url("/second")).await;
    let profile = format!("{}/state/browser/profile", runner.dir.path().display());
    let alive = || {
        let listed = std::process::Command::new("pgrep").args(["-f", &profile]).output().unwrap();
        listed.status.success()
    };
    assert!(alive());
    let pids = std::process::Command::new("pgrep").args(["-f", &profile]).output().unwrap();
    let sockets = std::process::Command::new("ss").args(["-ltnp"]).output().unwrap();
    let sockets = String::from_utf8_lossy(&sockets.stdout).into_owned();
    for pid in String::from_utf8_lossy(&pids.stdout).lines() {
        assert!(!sockets.contains(&format!("pid={pid},")), "{sockets}");
    }
    runner.terminate().await;
    common::eventually("all of it is gone", async || (!alive()).then_some(())).await;
    assert!(site.asked.lock().unwrap().contains(&"/second".to_owned()));
}
