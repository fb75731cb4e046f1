//! The docker engine's images against the fake daemon: what a real one does only when it breaks.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use staithe_engine::{
    Engine, EngineFailed, LABEL_OWNER, Labels,
    docker::{DockerConfig, DockerEngine, LineChoice, Pull, SandboxShape},
    images::{BuildFailed, BuildNews, BuildOrder, Builder, Found, Images},
};
use staithe_testkit::{
    docker::{FakeDockerd, Fault, Then},
    eventually,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const BUILDERS: [Builder; 2] = [Builder::BuildKit, Builder::Classic];

struct Site {
    fake: FakeDockerd,
    engine: DockerEngine,
    images: Arc<dyn Images>,
    dir: TempDir,
}

impl Site {
    async fn new() -> Self {
        let (fake, dir) = (FakeDockerd::start(), tempfile::tempdir().unwrap());
        fake.add_image("base:1");
        let engine = DockerEngine::open(config(&fake, dir.path())).await.unwrap();
        let images = engine.images().unwrap();
        Self { fake, engine, images, dir }
    }

    async fn build(&self, order: BuildOrder) -> Result<String, BuildFailed> {
        self.images.build(order, &|_| {}).await
    }

    async fn fails(&self, order: BuildOrder) -> BuildFailed {
        self.build(order).await.unwrap_err()
    }

    async fn sweep(&self) -> Vec<String> {
        self.engine.sweep("me", &BTreeSet::new()).await.unwrap()
    }

    fn has(&self, id: &str) -> bool {
        self.fake.images().iter().any(|image| image.id == id)
    }
}

fn config(fake: &FakeDockerd, dir: &Path) -> DockerConfig {
    DockerConfig {
        host: fake.host(),
        owner: "me".into(),
        name_prefix: "me-".into(),
        data_dir: dir.to_owned(),
        runner: "/bin/true".into(),
        runner_hash: "0".into(),
        pull: Pull::Missing,
        line: LineChoice::Socket,
        deadline: Duration::from_millis(500),
        sandbox: SandboxShape {
            user: "auto".into(),
            capabilities: Vec::new(),
            pids_limit: 0,
            memory: 0,
            memory_swap: 0,
            cpus: 0.0,
            shm_size: 0,
            disk: 0,
            read_only_rootfs: false,
            network: "none".into(),
            network_pool: "10.202.0.0/16".into(),
            runtime: String::new(),
            gpus: 0,
            mounts: Vec::new(),
            devices: Vec::new(),
            allow_dangerous_mounts: false,
            tmpfs: BTreeMap::new(),
            ulimits: BTreeMap::new(),
            workspace_mount: None,
            workspace: "/workspace".into(),
        },
    }
}

fn order(builder: Builder) -> BuildOrder {
    BuildOrder {
        name: "built:1".into(),
        builder,
        context: Arc::new(|to| to.write_all(b"a context")),
        labels: Labels::from([(LABEL_OWNER.to_owned(), "me".to_owned())]),
        build_args: BTreeMap::new(),
        platform: String::new(),
        anew: false,
        memory: 0,
        cpus: 0.0,
        network: String::new(),
        limit: Duration::from_secs(30),
        cancel: CancellationToken::new(),
    }
}

fn says(words: &[&str]) -> Vec<Value> {
    words.iter().map(|words| json!({ "stream": words })).collect()
}

fn gives_up(words: &[&str], cause: &str) -> Vec<Value> {
    let mut all = says(words);
    all.push(json!({ "errorDetail": { "message": cause }, "error": cause }));
    all
}

#[track_caller]
fn assert_cut(failed: &BuildFailed) {
    let BuildFailed::Engine(EngineFailed::Operation { source, .. }) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionAborted, "{source}");
}

#[tokio::test]
async fn a_build_asks_for_what_was_ordered() {
    let site = Site::new().await;
    assert_eq!(site.images.builders(), BUILDERS);
    assert_eq!(site.images.platform(), "linux/amd64");
    for builder in BUILDERS {
        let build_args = BTreeMap::from([("A".to_owned(), "b".to_owned())]);
        let platform = "linux/arm64".to_owned();
        let id = site
            .build(BuildOrder { anew: true, build_args, platform, ..order(builder) })
            .await
            .unwrap();
        let found = site.images.inspect("built:1").await.unwrap().unwrap();
        assert_eq!((found.id, found.names), (id, vec!["built:1".to_owned()]));
        let asked = site.fake.requests_of("POST /build").pop().unwrap();
        assert_eq!(asked.length, "a context".len());
        let version = if builder == Builder::BuildKit { "2" } else { "1" };
        for (key, value) in [
            ("version", version),
            ("t", "built:1"),
            ("buildargs", r#"{"A":"b"}"#),
            ("labels", r#"{"staithe.owner":"me"}"#),
            ("platform", "linux/arm64"),
        ] {
            assert_eq!(asked.word(key), value, "{builder:?} {key}");
        }
        assert!(asked.flag("nocache") && asked.flag("rm") && asked.flag("forcerm"));
    }
}

#[tokio::test]
async fn a_build_asks_for_its_limits_where_the_builder_keeps_them() {
    let site = Site::new().await;
    let none = ["memory", "memswap", "cpuperiod", "cpuquota", "networkmode"];
    for builder in BUILDERS {
        site.build(order(builder)).await.unwrap();
        let asked = site.fake.requests_of("POST /build").pop().unwrap();
        assert!(none.iter().all(|key| asked.word(key).is_empty()), "{builder:?}: {asked:?}");
    }
    for memory in [64 << 20, 5 << 30] {
        let network = "none".to_owned();
        let classic = BuildOrder { memory, cpus: 1.5, network, ..order(Builder::Classic) };
        site.build(classic.clone()).await.unwrap();
        let asked = site.fake.requests_of("POST /build").pop().unwrap();
        let bytes = memory.to_string();
        for (key, value) in none.iter().zip([&*bytes, &*bytes, "100000", "150000", "none"]) {
            assert_eq!(asked.word(key), value, "{key}");
        }
        assert!(asked.word("extrahosts").ends_with(":127.0.0.1"));
        site.build(BuildOrder { builder: Builder::BuildKit, ..classic }).await.unwrap();
        let asked = site.fake.requests_of("POST /build").pop().unwrap();
        let only = none.iter().filter(|key| !asked.word(key).is_empty()).collect::<Vec<_>>();
        assert_eq!(only, [&"networkmode"]);
        assert_eq!(asked.word("extrahosts"), "");
    }
}

#[tokio::test]
async fn an_engine_that_is_away_is_unavailable() {
    let site = Site::new().await;
    site.fake.go_away();
    for builder in BUILDERS {
        let failed = site.fails(order(builder)).await;
        let away = BuildFailed::Engine(EngineFailed::Unavailable {
            engine: "docker",
            cause: String::new(),
            remedy: String::new(),
        });
        let same = std::mem::discriminant(&failed) == std::mem::discriminant(&away);
        assert!(same && failed.to_string().contains("unavailable"), "{failed:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_cut_and_no_image() {
    let site = Site::new().await;
    let words = says(&["Step 1/2 : FROM base:1", " ---> 0123456789ab\n"]);
    for builder in BUILDERS {
        site.fake.set_build(&words, Then::Cut);
        assert_cut(&site.fails(order(builder)).await);
        site.fake.set_build(&words, Then::Ends);
        assert_cut(&site.fails(order(builder)).await);
        site.fake.set_build_text("<html>no JSON</html>\n", Then::Hangs);
        assert_cut(&site.fails(order(builder)).await);
        site.fake.fail("POST /build", Fault::Drop);
        assert_cut(&site.fails(order(builder)).await);
    }
}

#[tokio::test]
async fn what_an_engine_kept_that_went_away_mid_build_goes_once_it_is_back() {
    let site = Site::new().await;
    let made = site.fake.add_nameless("base:1", json!({}));
    let short = |id: &str| id.trim_start_matches("sha256:")[..12].to_owned();
    let base = site.fake.images().into_iter().find(|it| it.names == ["base:1"]).unwrap().id;
    let foreign = site.fake.add_nameless("base:1", json!({}));
    let words = [
        "Step 1/3 : FROM base:1".to_owned(),
        format!(" ---> {}\n", short(&base)),
        "Step 2/3 : RUN make".to_owned(),
        format!(" ---> {}\n", short(&made)),
        "Step 3/3 : RUN sleep".to_owned(),
    ];
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    site.fake.set_build(&says(&words), Then::Hangs);
    let steps = Arc::new(Mutex::new(0));
    let begun = Arc::clone(&steps);
    let tell = move |news| {
        if matches!(news, BuildNews::Step { .. }) {
            *begun.lock().unwrap() += 1;
        }
    };
    let build = site.images.build(order(Builder::Classic), &tell);
    let away = async {
        eventually("its last step began", || *steps.lock().unwrap() == 3).await;
        site.fake.go_away();
    };
    let (failed, ()) = tokio::join!(build, away);
    assert_cut(&failed.unwrap_err());
    assert!(site.has(&made), "the engine keeps it");
    site.fake.come_back();
    let mut removed = Vec::new();
    for _ in 0..2 {
        removed.extend(site.sweep().await);
    }
    assert!(removed.contains(&format!("image {}", short(&made))), "{removed:?}");
    assert!(!site.has(&made) && site.has(&foreign) && site.has(&base));
}

#[tokio::test]
async fn of_all_containers_that_a_build_named_only_those_with_its_mark_go() {
    let site = Site::new().await;
    let marked = |mark: &str| json!({ "Image": "base:1", "HostConfig": { "ExtraHosts": [mark] } });
    site.fake.make("own", &marked("b1.staithe-build.invalid:127.0.0.1"));
    site.fake.make("of-another", &marked("b2.staithe-build.invalid:127.0.0.1"));
    site.fake.make("innocent", &json!({ "Image": "base:1" }));
    let ids = ["own", "of-another", "innocent"].map(|it| site.fake.container(it).unwrap().id);
    let [own, other, innocent] = ids.map(|id| format!("container {id}\n"));
    let text = format!("began 0\ncontainer 0123456789ab\n{own}{other}{innocent}");
    site.sweep().await; // makes the folder
    let file = site.dir.path().join("builds/b1.left");
    std::fs::write(&file, text).unwrap();
    // An engine that can't say whose one is removes none, and is asked again.
    site.fake.fail("GET /containers/{id}/json", Fault::status(500, "broken"));
    site.engine.sweep("me", &BTreeSet::new()).await.unwrap_err();
    assert!(file.exists() && site.fake.container("own").is_some());
    site.sweep().await;
    let there = |name: &str| site.fake.container(name).is_some();
    assert!(!there("own") && there("of-another") && there("innocent"));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_container_that_a_step_names_outlives_the_build_that_fails() {
    let site = Site::new().await;
    site.fake.make("innocent", &json!({ "Image": "base:1" }));
    let id = site.fake.container("innocent").unwrap().id;
    let named = format!(" ---> Running in {id}\n");
    // All that it prints is what the builder would say.
    let words = ["Step 1/2 : FROM base:1", " ---> 0123456789ab\n", "Step 2/2 : RUN x", &named];
    site.fake.set_build(&gives_up(&words, "it failed"), Then::Ends);
    let failed = site.fails(order(Builder::Classic)).await;
    assert!(matches!(failed, BuildFailed::Step { number: 2, .. }), "{failed:?}");
    assert_eq!(site.fake.requests_of("GET /containers/{id}/json").len(), 1, "it was looked at");
    assert!(site.fake.container("innocent").is_some());
}

#[tokio::test]
async fn a_build_that_says_nothing_more_ends_at_its_limit() {
    let site = Site::new().await;
    site.fake.set_build(&says(&["Step 1/2 : FROM base:1", " ---> 0123456789ab\n"]), Then::Hangs);
    let limit = Duration::from_millis(300);
    let failed = site.fails(BuildOrder { limit, ..order(Builder::Classic) }).await;
    let BuildFailed::TimedOut { number: 1, of: 2, text, .. } = &failed else {
        panic!("{failed:?}");
    };
    assert_eq!(text, "FROM base:1");
    site.fake.fail("POST /build", Fault::Hang);
    let failed = site.fails(BuildOrder { limit, ..order(Builder::BuildKit) }).await;
    assert!(matches!(failed, BuildFailed::TimedOut { number: 0, .. }), "{failed:?}");
}

#[tokio::test]
async fn an_engine_that_answers_nothing_at_all_is_given_up_before_the_limit() {
    let site = Site::new().await;
    site.fake.fail_always("*", Fault::Hang);
    tokio::time::pause();
    let limit = Duration::from_hours(10);
    let failed = site.fails(BuildOrder { limit, ..order(Builder::Classic) }).await;
    let BuildFailed::Engine(EngineFailed::Operation { source, .. }) = &failed else {
        panic!("{failed:?}");
    };
    assert_eq!(source.kind(), io::ErrorKind::TimedOut, "{source}");
}

#[tokio::test]
async fn a_cancelled_build_is_asked_for_no_more() {
    let site = Site::new().await;
    let order = order(Builder::Classic);
    order.cancel.cancel();
    assert!(matches!(site.fails(order).await, BuildFailed::Cancelled));
    assert_eq!(site.fake.requests_of("POST /build").len(), 0);
}

#[tokio::test]
async fn a_full_engine_is_one_wherever_it_says_so() {
    let site = Site::new().await;
    let step = ["Step 1/2 : FROM base:1", " ---> 0123456789ab\n", "Step 2/2 : COPY big /big"];
    let cause = "failed to copy files: copy_file_range: no space left on device";
    site.fake.set_build(&gives_up(&step, cause), Then::Ends);
    let failed = site.fails(order(Builder::Classic)).await;
    assert!(matches!(&failed, BuildFailed::DiskFull { cause, .. } if cause.contains("copy")));
    let refusal = "Error processing tar file(exit status 1): write /big: no space left on device";
    for builder in BUILDERS {
        site.fake.fail("POST /build", Fault::status(500, refusal));
        let failed = site.fails(order(builder)).await;
        assert!(matches!(failed, BuildFailed::DiskFull { .. }), "{failed:?}");
    }
}

#[tokio::test]
async fn a_base_that_no_registry_has_is_named() {
    let site = Site::new().await;
    let cause =
        "pull access denied for nothing, repository does not exist or may require 'docker login'";
    site.fake.set_build(&gives_up(&["Step 1/2 : FROM nothing:1", "\n"], cause), Then::Ends);
    let failed = site.fails(order(Builder::Classic)).await;
    assert!(
        matches!(&failed, BuildFailed::Base { image, .. } if image == "nothing:1"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn images_without_a_name_go_with_a_pass_when_they_are_ours_and_unused() {
    let site = Site::new().await;
    let ours = site.fake.add_nameless("base:1", json!({ "Labels": { "staithe.owner": "me" } }));
    let used = site.fake.add_nameless("base:1", json!({ "Labels": { "staithe.owner": "me" } }));
    let theirs = site.fake.add_nameless("base:1", json!({ "Labels": { "staithe.owner": "you" } }));
    site.fake.make("user", &json!({ "Image": used }));
    assert_eq!(site.sweep().await, [format!("image {ours}")]);
    assert!(!site.has(&ours) && site.has(&used) && site.has(&theirs));
    assert_eq!(site.images.used().await.unwrap(), [used]);
}

#[tokio::test]
async fn a_look_removes_its_container_whatever_happens() {
    let site = Site::new().await;
    site.fake.add_file("base:1", "/usr/bin/git", b"a program");
    let found =
        site.images.look_into("base:1", &["/usr/bin/git", "/usr", "/no"], true).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found["/usr/bin/git"], Found::File(Some(b"a program".to_vec())));
    assert_eq!(found["/usr"], Found::Folder);
    let fault = Fault::status(500, "broken");
    for route in ["HEAD /containers/{id}/archive", "GET /containers/{id}/archive"] {
        site.fake.fail(route, fault.clone());
        site.images.look_into("base:1", &["/usr/bin/git"], true).await.unwrap_err();
    }
    // The engine made it, and its answer was lost: the next pass finds it.
    site.fake.fail("POST /containers/create", Fault::DropAfterEffect);
    site.images.look_into("base:1", &["/usr"], false).await.unwrap_err();
    eventually("the failed looks are over", || site.fake.containers().len() == 1).await;
    assert_eq!(site.sweep().await.len(), 1);
    assert_eq!(site.fake.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_registry_that_has_no_such_image_is_told_from_one_that_fails() {
    let site = Site::new().await;
    assert!(!site.images.pull("offered:1", "", &|_| {}).await.unwrap());
    site.fake.offer_image("offered:1");
    for platform in ["", "linux/arm64"] {
        assert!(site.images.pull("offered:1", platform, &|_| {}).await.unwrap());
        let asked = site.fake.requests_of("POST /images/create").pop().unwrap();
        assert_eq!(asked.word("platform"), platform);
    }
    site.fake.fail("POST /images/create", Fault::status(500, "dial tcp: no such host"));
    let failed = site.images.pull("other:1", "", &|_| {}).await;
    assert!(matches!(failed, Err(EngineFailed::Image { .. })), "{failed:?}");
    site.images.push("offered:1", &|_| {}).await.unwrap();
    assert_eq!(site.fake.pushed(), ["offered:1"]);
    site.images.push("nothing:1", &|_| {}).await.unwrap_err();
}

#[tokio::test]
async fn a_file_of_images_is_whole_or_not_there() {
    let site = Site::new().await;
    let file = site.dir.path().join("images.tar");
    for fault in [Fault::Garbage, Fault::Drop, Fault::status(500, "broken")] {
        site.fake.fail("GET /images/get", fault);
        site.images.save(&["base:1"], &file).await.unwrap_err();
        let files = std::fs::read_dir(site.dir.path()).unwrap().flatten();
        let files: Vec<_> = files.filter(|it| it.path().is_file()).collect();
        assert!(files.is_empty(), "{files:?}");
    }
    site.images.save(&["base:1"], &file).await.unwrap();
    site.images.tag("base:1", "other:1").await.unwrap();
    let before = site.images.inspect("base:1").await.unwrap().unwrap();
    assert_eq!(before.names, ["base:1", "other:1"]);
    site.images.remove("base:1").await.unwrap();
    site.images.remove("other:1").await.unwrap();
    site.images.load(&file).await.unwrap();
    assert_eq!(site.images.inspect("base:1").await.unwrap().unwrap().id, before.id);
    assert_eq!(site.images.layers("base:1").await.unwrap()[0].created_by, "FROM base");
}

#[tokio::test]
async fn images_take_their_time_into_and_out_of_a_file_while_the_engine_lives() {
    let site = Site::new().await;
    let file = site.dir.path().join("images.tar");
    site.images.save(&["base:1"], &file).await.unwrap();
    let routes = ["GET /images/get", "POST /images/load"];
    let again = async || match site.images.save(&["base:1"], &file).await {
        Ok(()) => site.images.load(&file).await,
        failed => failed,
    };
    tokio::time::pause();
    for route in routes {
        site.fake.fail(route, Fault::Slow(Duration::from_mins(20)));
    }
    again().await.unwrap();
    assert!(site.fake.requests_of("GET /_ping").len() > 10, "it was asked meanwhile");
    for route in routes {
        for mute in [true, false] {
            site.fake.fail(route, Fault::Hang);
            if mute {
                site.fake.fail("GET /_ping", Fault::Hang);
            }
            let began = tokio::time::Instant::now();
            let failed = again().await.unwrap_err();
            let EngineFailed::Operation { source, .. } = failed else { panic!("{failed:?}") };
            assert_eq!(source.kind(), io::ErrorKind::TimedOut, "{source}");
            // That the file was sent is a sign of life, too.
            assert_eq!(began.elapsed() < Duration::from_mins(5), mute, "{route}");
        }
    }
}
