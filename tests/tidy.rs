//! The house rules as tests: each reads the tree and lists every place that breaks it.
//!
//! Rules and reasons are in `ARCHITECTURE.md` and `CONTRIBUTING.md`. A rule that stands in the way is
//! changed here with a reason, never worked around.

#[path = "tidy/said.rs"]
mod said;
#[path = "tidy/scan.rs"]
mod scan;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::Command,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use staithe::{
    assets::{Assets, LANGUAGES},
    config::{Config, load},
    views::{ErrorPage, JoinPage, Page, PortPage, SessionPage, SignIn},
};

use scan::{File, code, function_of, net_lines, places, read, root, rust, split, tree};

/// Who may use whom, and which crates a room must never see.
const ARROWS: [(&str, &[&str], &[&str]); 10] = [
    (
        "staithe",
        &[
            "staithe-actors",
            "staithe-agent",
            "staithe-engine",
            "staithe-image",
            "staithe-protocol",
            "staithe-store",
        ],
        &["bollard", "rusqlite"],
    ),
    (
        "staithe-actors",
        &["staithe-agent", "staithe-engine", "staithe-link", "staithe-protocol", "staithe-store"],
        &["actix-web", "actix-web-actors", "actix-http", "tera", "bollard", "rusqlite", "hyper"],
    ),
    (
        "staithe-agent",
        &["staithe-protocol"],
        &["actix", "actix-rt", "actix-web", "bollard", "rusqlite"],
    ),
    ("staithe-engine", &["staithe-protocol"], &["actix", "actix-rt", "actix-web", "rusqlite"]),
    (
        "staithe-image",
        &["staithe-protocol"],
        &["actix", "actix-rt", "actix-web", "bollard", "tokio", "rusqlite"],
    ),
    ("staithe-link", &["staithe-protocol"], &["actix", "actix-rt", "actix-web", "bollard"]),
    (
        "staithe-runner",
        &["staithe-protocol"],
        &["actix", "actix-rt", "actix-web", "bollard", "rustls", "openssl", "jsonwebtoken"],
    ),
    ("staithe-store", &["staithe-protocol"], &["actix", "actix-rt", "actix-web", "bollard"]),
    (
        "staithe-protocol",
        &[],
        &["actix", "tokio", "hyper", "bytes", "futures-util", "tracing", "rustix"],
    ),
    ("staithe-testkit", &["staithe-engine", "staithe-protocol"], &["actix-web", "bollard"]),
];

/// Files of the front that may name engines and stores.
/// Beside those that compose: the configuration in an engine's words, the doctor, who examines engines, and
/// the images, which an engine builds.
const ROOT_OF_COMPOSITION: [&str; 8] = [
    "src/boot.rs",
    "src/boot/",
    "src/main.rs",
    "src/admin_cli.rs",
    "src/routes/admin.rs",
    "src/config/docker.rs",
    "src/doctor/gather/engines.rs",
    "src/images/",
];

fn composes(path: &str) -> bool {
    ROOT_OF_COMPOSITION.iter().any(|place| path.starts_with(place))
}

/// Pure files: time, ids and randomness come in as arguments.
const PURE: [&str; 4] = ["state.rs", "log.rs", "restore.rs", "reconcile.rs"];
/// What a pure file never says. A time is a value there, so `tokio::time::Instant` may be its type.
const IMPURE: [&str; 9] = [
    "async",
    "actix::",
    "tokio::",
    "bollard",
    "Instant::now",
    "SystemTime::now",
    "rand",
    "env::",
    "fs::",
];

/// Most net lines of a file: no blank ones, no comments, no tests.
const MOST_LINES: usize = 500;

/// Where a test may sleep although its clock runs: file, function, reason.
const SLEEPS: &[(&str, &str, &str)] = &[(
    "crates/testkit/src/engine.rs",
    "start",
    "the fake engine in a slow mood; its callers pause the clock",
)];
/// The one wait that may sleep: it looks again until something holds, within a limit.
const BOUNDED_WAITS: [&str; 2] = ["eventually", "eventually_some"];

/// Fails with the whole list.
#[track_caller]
fn check(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}\n", faults.join("\n  "));
}

fn is_actors(file: &File) -> bool {
    file.path.starts_with("actors/src/")
}

#[test]
fn rooms_use_only_the_rooms_that_the_arrows_allow() {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        seen.insert(name.to_owned());
        let Some((_, allowed, banned)) = ARROWS.iter().find(|(from, ..)| *from == name) else {
            faults.push(format!("{name} is a new room: give it a row in ARROWS and a decision"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("a name");
            let ours = !dependency["path"].is_null();
            if dependency["kind"].is_null()
                && (banned.contains(&to) || (ours && !allowed.contains(&to)))
            {
                faults.push(format!("{name} → {to}"));
            }
            // As a dev-dependency a room may see below itself, or the testkit; never above.
            let below = allowed.contains(&to) || to == "staithe-testkit";
            if dependency["kind"] == "dev" && ours && !below && name != "staithe" {
                faults.push(format!("{name} → {to} (in tests)"));
            }
        }
    }
    for (name, ..) in ARROWS {
        if !seen.contains(name) {
            faults.push(format!("{name} is in ARROWS and not in the workspace"));
        }
    }
    check("no arrow but those of ARCHITECTURE.md", &faults);
}

#[test]
fn only_the_composition_root_names_engines_and_stores() {
    let mut faults = Vec::new();
    for file in rust().iter().filter(|file| file.path.starts_with("src/")) {
        let ships = code(&split(&file.text).0);
        let concrete = ["staithe_engine", "staithe_store"].into_iter();
        let hidden = ["staithe_link", "staithe_runner", "bollard", "rusqlite"].into_iter();
        let concrete = concrete.filter(|_| !composes(&file.path));
        for word in concrete.chain(hidden) {
            let found = places(&ships, word);
            faults.extend(found.iter().map(|(line, _)| format!("{}:{line} {word}", file.path)));
        }
        // An actor's core is its own.
        for (line, text) in places(&ships, "state::") {
            if text.contains("staithe_actors") {
                faults.push(format!("{}:{line} an actor's state", file.path));
            }
        }
    }
    check("the front knows engines and stores only where it composes them", &faults);
}

#[test]
fn pure_files_touch_nothing() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for file in rust() {
        let core = is_actors(&file) && PURE.contains(&file.name());
        // What calls itself pure is held to it.
        let says_so = file.head().contains("Pure.");
        if file.is_test() || !(core || says_so) {
            continue;
        }
        seen += 1;
        let ships = code(&split(&file.text).0).replace("tokio::time::Instant", "Instant");
        for word in IMPURE {
            let found = places(&ships, word);
            faults.extend(found.iter().map(|(line, _)| format!("{}:{line} {word}", file.path)));
        }
        if core && !says_so {
            faults.push(format!("{}:1 its head does not say `Pure.`", file.path));
        }
    }
    assert!(seen >= 6, "only {seen} pure files were found");
    check("pure files decide and touch nothing", &faults);
}

#[test]
fn no_file_is_longer_than_one_sitting() {
    let mut faults = Vec::new();
    for file in
        tree().iter().filter(|file| file.is(&["rs", "js", "css", "html"]) && !file.is_test())
    {
        let lines = net_lines(file);
        if lines > MOST_LINES {
            faults.push(format!("{}: {lines} net lines", file.path));
        }
    }
    check(&format!("at most {MOST_LINES} net lines a file"), &faults);
}

#[test]
fn every_rust_file_begins_by_saying_what_it_is() {
    let files = rust();
    let headless = files.iter().filter(|file| {
        let first = file.text.lines().find(|line| !line.trim().is_empty());
        !first.is_some_and(|line| line.starts_with("//!"))
    });
    let faults: Vec<_> = headless.map(|file| format!("{}:1", file.path)).collect();
    check("`//!` at the head of every file", &faults);
}

#[test]
fn every_message_says_who_sends_it() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for file in rust().iter().filter(|file| is_actors(file) && !file.is_test()) {
        let ships = split(&file.text).0;
        let (mut documented, mut message, mut attribute) = (false, false, String::new());
        for (number, line) in
            ships.lines().enumerate().map(|(number, line)| (number + 1, line.trim()))
        {
            if line.starts_with("///") {
                documented = true;
            } else if line.starts_with("#[") || !attribute.is_empty() {
                attribute.push_str(line);
                if attribute.matches('[').count() == attribute.matches(']').count() {
                    let derives = attribute.starts_with("#[derive(");
                    message |= derives && !places(&attribute, "Message").is_empty();
                    attribute.clear();
                }
            } else {
                seen += usize::from(message);
                if message && !documented {
                    faults.push(format!("{}:{number} {line}", file.path));
                }
                (documented, message) = (false, false);
            }
        }
    }
    assert!(seen >= 20, "only {seen} messages were found");
    check(
        "a doc comment on every message: who sends it, what the reply means, what twice does",
        &faults,
    );
}

#[test]
fn no_test_is_switched_off_and_nothing_is_left_for_later() {
    let mut faults = Vec::new();
    for file in tree() {
        if file.is(&["rs"]) {
            let code = code(&file.text);
            for word in ["#[ignore", "#[should_panic", "todo!", "unimplemented!"] {
                let found = places(&code, word);
                faults.extend(found.iter().map(|(line, _)| format!("{}:{line} {word}", file.path)));
            }
        }
        if file.is(&["mjs"]) {
            for word in ["test.skip", "test.only", "test.todo", "{ skip:", "{ only:"] {
                let found = places(&file.text, word);
                faults.extend(found.iter().map(|(line, _)| format!("{}:{line} {word}", file.path)));
            }
        }
        if file.is(&["rs", "js", "mjs", "css", "html", "toml", "json"])
            || file.path.starts_with("scripts/")
        {
            for word in [concat!("TO", "DO"), concat!("FIX", "ME")] {
                let found = places(&file.text, word);
                faults.extend(found.iter().map(|(line, _)| format!("{}:{line} {word}", file.path)));
            }
        }
    }
    check("no switched-off test, no note for later: file an issue", &faults);
}

/// A test sleeps in two cases only: its file pauses the clock, so that sleeping costs nothing and
/// proves something; or it is the bounded wait that looks again and again.
#[test]
fn tests_wait_for_what_happens_and_never_for_time_to_pass() {
    let mut faults = Vec::new();
    for file in rust() {
        let tests = if file.is_test() { file.text.clone() } else { split(&file.text).1 };
        let tests = code(&tests);
        if tests.contains("start_paused = true") || !places(&tests, "pause()").is_empty() {
            continue;
        }
        for (line, _) in places(&tests, "sleep(") {
            let function = function_of(&tests, line);
            let excused =
                SLEEPS.iter().any(|(path, name, _)| *path == file.path && *name == function);
            if !excused && !BOUNDED_WAITS.contains(&function.as_str()) {
                faults.push(format!("{}:{line} in {function}", file.path));
            }
        }
    }
    check("no sleep in a test: use eventually(…), or pause the clock", &faults);
}

#[test]
fn log_messages_are_constant_phrases_in_lower_case() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for file in rust().iter().filter(|file| !file.is_test()) {
        let ships = split(&file.text).0;
        let blanked = code(&ships);
        for level in ["info!(", "warn!(", "error!(", "debug!(", "trace!("] {
            for (at, _) in blanked.match_indices(level) {
                if !blanked[..at].ends_with("tracing::")
                    && !blanked[..at].ends_with([' ', '{', ';'])
                {
                    continue;
                }
                seen += 1;
                let line = blanked[..at].matches('\n').count() + 1;
                let message = message(&ships, &blanked, at + level.len());
                let fault = match message {
                    None => "has no message",
                    Some(message) if message.contains('{') => {
                        "is no constant: values go into fields"
                    }
                    Some(message) if message.ends_with('.') => "ends with a full stop",
                    Some(message) if message.chars().next().is_some_and(char::is_uppercase) => {
                        "begins with a capital"
                    }
                    Some(_) => continue,
                };
                faults.push(format!(
                    "{}:{line} {fault}: {}",
                    file.path,
                    message.unwrap_or_default()
                ));
            }
        }
    }
    assert!(seen >= 30, "only {seen} log messages were found");
    check("log messages are lower-case phrases without a full stop", &faults);
}

/// The last argument of a macro whose arguments begin at `from`, when it is a plain string.
fn message<'a>(text: &'a str, blanked: &str, from: usize) -> Option<&'a str> {
    let (mut depth, mut last) = (1, from);
    for (at, c) in blanked[from..].char_indices().map(|(at, c)| (at + from, c)) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 1 => depth -= 1,
            ')' | ']' | '}' => {
                let argument = text[last..at].trim().trim_end_matches(',');
                return argument.strip_prefix('"')?.strip_suffix('"');
            }
            // A comma at the very end has no argument behind it.
            ',' if depth == 1 && !blanked[at + 1..].trim_start().starts_with(')') => last = at + 1,
            _ => {}
        }
    }
    None
}

fn page<'a>(assets: &'a Assets, lang: &'a str) -> Page<'a> {
    Page {
        static_base: assets.base(),
        lang,
        t: assets.catalogue(lang),
        version: "1.2.3",
        signed_in: true,
        operator: true,
        user_name: "<ann>".into(),
        role: "operator",
        has_libraries: true,
        modules: assets.modules(),
    }
}

/// A sample of what each page is given.
fn views(assets: &Assets, lang: &str) -> BTreeMap<&'static str, Value> {
    let value = |view| serde_json::to_value(view).expect("plain data");
    let sign_in = SignIn { page: page(assets, lang), error: "wrong_token", next: "/sessions/<x>" };
    let session = SessionPage {
        page: page(assets, lang),
        session_id: "0".repeat(32),
        session_title: "<b>title</b>".into(),
        nonce: "0".repeat(32),
    };
    let error = ErrorPage {
        page: page(assets, lang),
        status: 404,
        title: "Not Found".into(),
        detail: "<i>detail</i>".into(),
        code: "route.not_found",
    };
    let join = JoinPage { page: page(assets, lang), guest: "viewer", link: "<b>title</b>" };
    let port = PortPage {
        lang,
        t: assets.catalogue(lang),
        kind: "refused",
        detail: "<i>detail</i>",
        code: "proxy.foreign_page",
        refresh: true,
        control_url: "<ann>".into(),
    };
    BTreeMap::from([
        ("pages/port.html", value(json!(port))),
        ("pages/sessions.html", value(json!(page(assets, lang)))),
        ("pages/admin.html", value(json!(page(assets, lang)))),
        ("pages/sign_in.html", value(json!(sign_in))),
        ("pages/join.html", value(json!(join))),
        ("pages/session.html", value(json!(session))),
        ("pages/error.html", value(json!(error))),
    ])
}

#[test]
fn every_page_renders_in_every_language_and_escapes_what_it_is_given() {
    let assets = Assets::load().expect("templates and catalogues can be read");
    let mut faults = Vec::new();
    for lang in LANGUAGES {
        let views = views(&assets, lang);
        for file in tree().iter().filter(|file| file.path.starts_with("templates/pages/")) {
            let name = file.path.trim_start_matches("templates/");
            let Some(view) = views.get(name) else {
                faults.push(format!("{name}: has no sample view here"));
                continue;
            };
            let context = tera::Context::from_serialize(view).expect("an object");
            match assets.templates.render(name, &context) {
                Ok(html) if !html.contains("</html>") => {
                    faults.push(format!("{name} ({lang}): no page"));
                }
                Ok(html)
                    if ["<b>title", "<i>detail", "<ann>"].iter().any(|raw| html.contains(raw)) =>
                {
                    faults.push(format!("{name} ({lang}): something is not escaped"));
                }
                Ok(_) => {}
                Err(error) => faults.push(format!("{name} ({lang}): {error:?}")),
            }
        }
    }
    check("every page renders", &faults);
}

fn message_keys(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                message_keys(value, &format!("{path}.{name}"), keys);
            }
        }
        _ => drop(keys.insert(path.trim_start_matches('.').to_owned())),
    }
}

#[test]
fn the_catalogues_have_the_same_messages() {
    let keys = |lang: &str| {
        let text = read(&format!("static/i18n/{lang}.json"));
        let catalogue: Value = serde_json::from_str(&text).expect("JSON");
        let mut keys = BTreeSet::new();
        message_keys(&catalogue, "", &mut keys);
        keys
    };
    let first = keys(LANGUAGES[0]);
    let mut faults = Vec::new();
    for lang in LANGUAGES {
        let differences: Vec<_> = first.symmetric_difference(&keys(lang)).cloned().collect();
        faults.extend(differences.iter().map(|key| format!("{key}: not in both of en and {lang}")));
    }
    check("one message in one language is one in all", &faults);
}

#[test]
fn every_key_of_the_configuration_is_documented_and_is_a_field() {
    let shipped: toml::Table = load::SHIPPED.parse().expect("TOML");
    let mut faults = Vec::new();
    let lines: Vec<&str> = load::SHIPPED.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let is_key = !line.starts_with('#') && line.contains(" = ");
        let above = number.checked_sub(1).map_or("", |above| lines[above]);
        if is_key && !above.starts_with("# ") {
            faults.push(format!("config.toml:{} {line}: no comment directly above", number + 1));
        }
    }
    if let Err(error) = shipped.clone().try_into::<Config>() {
        faults.push(format!("the file and the fields of Config differ: {error}"));
    }
    // Every key must be missed when it is gone: so each is a field, and no field has a hidden default.
    for key in load::keys(&shipped, "") {
        let mut without = shipped.clone();
        remove(&mut without, &key);
        if without.try_into::<Config>().is_ok() {
            faults.push(format!("{key}: Config is complete without it"));
        }
    }
    let config = code(&split(&read("src/config/mod.rs")).0);
    for word in ["Option<", "serde(default", "impl Default"] {
        let found = places(&config, word);
        faults.extend(found.iter().map(|(line, _)| format!("src/config/mod.rs:{line} {word}")));
    }
    check("config.toml is the default, whole and explained", &faults);
}

fn remove(table: &mut toml::Table, key: &str) {
    match key.split_once('.') {
        None => drop(table.remove(key)),
        Some((first, rest)) => {
            if let Some(toml::Value::Table(inner)) = table.get_mut(first) {
                remove(inner, rest);
            }
        }
    }
}

/// `docs/protocol.md` was looked at for this state of the wire types.
#[test]
fn the_protocols_document_was_read_again_when_the_wire_changed() {
    const MARK: &str = "SHA-256 of `crates/protocol/src`: `";
    let mut hasher = Sha256::new();
    for file in rust().iter().filter(|file| file.path.starts_with("crates/protocol/src/")) {
        for part in [&file.path, &file.text] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    let hash = format!("{:x}", hasher.finalize());
    let text = read("docs/protocol.md");
    let at = text.find(MARK).expect("docs/protocol.md has a line with the hash") + MARK.len();
    let end = at + text[at..].find('`').expect("the hash ends with a backtick");
    if env::var_os("STAITHE_BLESS").is_some_and(|bless| bless == "1") {
        let blessed = format!("{}{hash}{}", &text[..at], &text[end..]);
        fs::write(root().join("docs/protocol.md"), blessed).expect("it can be written");
        return;
    }
    assert_eq!(
        &text[at..end],
        hash,
        "crates/protocol/src changed: bring docs/protocol.md up to date, then \
         STAITHE_BLESS=1 cargo test --test tidy writes the new hash"
    );
}

#[test]
fn pages_load_nothing_from_elsewhere() {
    let mut faults = Vec::new();
    for file in tree() {
        let page = ["static/", "templates/layouts/", "templates/pages/"];
        if !page.iter().any(|place| file.path.starts_with(place)) {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            // The names of XML vocabularies are no addresses that anything is loaded from.
            let line = line.replace("http://www.w3.org/", "");
            // A scheme without a host, as before what somebody typed, leads nowhere yet.
            let leads = |scheme: &str| {
                let mut after = line.split(scheme).skip(1);
                after.any(|rest| rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
            };
            let elsewhere = ["=\"//", "url(//", "'//"].iter().any(|word| line.contains(word));
            if elsewhere || ["http://", "https://", "ws://", "wss://"].into_iter().any(leads) {
                faults.push(format!("{}:{} {}", file.path, number + 1, line.trim()));
            }
        }
    }
    check("the page works without a network: no address of another machine", &faults);
}

#[test]
fn no_registry_is_named_by_its_host() {
    // Written in two halves, as this file is read too. Cargo writes the one in its own lock file.
    let hosts = [
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("crates.io", "-index"),
        concat!("registry.", "npmjs"),
        concat!("registry.", "yarnpkg"),
        concat!("pypi.", "org"),
        concat!("files.python", "hosted"),
        concat!("deb.", "debian.org"),
        concat!("security.", "debian.org"),
        concat!("proxy.", "golang.org"),
    ];
    let mut faults = Vec::new();
    for file in tree().iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.text.lines().enumerate() {
            if hosts.iter().any(|host| line.contains(host)) {
                faults.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    check("registries are reached through their clients, as each machine sets them up", &faults);
}

#[test]
fn the_rules_see_what_they_look_for() {
    let text =
        "let a = \"todo!\"; // todo!\nlet b = 'x'; fn f<'a>() {}\nlet c = r#\"todo!\"#;\ntodo!()\n";
    assert_eq!(places(&code(text), "todo!").len(), 1);
    assert_eq!(code(text).lines().count(), 4);
    let (ships, tests) =
        split("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
    assert!(ships.contains("fn a") && ships.contains("fn c") && !ships.contains("fn b"));
    assert!(tests.contains("fn b") && !tests.contains("fn c"));
    let log = "tracing::info!(a = f(1, 2), \"a (b), c\",);";
    assert_eq!(message(log, &code(log), 15), Some("a (b), c"));
}
