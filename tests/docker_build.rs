//! Images on a real engine: built by both builders, looked into, named, kept in files; whatever goes wrong
//! is told as what it is and leaves nothing.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use staithe_engine::{
    Engine, EngineFailed, LABEL_OWNER, Labels,
    docker::{DockerConfig, DockerEngine},
    images::{BuildFailed, BuildNews, BuildOrder, Builder, Found, Images, LOOK_MAX, WriteContext},
};
use staithe_testkit::eventually;
use tokio::{
    net::{UnixListener, UnixStream},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use docker_stage::{BASE, Stage, address, docker};

#[expect(dead_code, reason = "each test program uses a part of it")]
mod docker_stage;

const BUSYBOX: &str = "staithe-test/busybox:1";
const SCRATCH: &str = "staithe-test/scratch:1";
const BUILDERS: [Builder; 2] = [Builder::Classic, Builder::BuildKit];

/// An installation with images: none of its own is left when it is dropped.
struct Site {
    stage: Stage,
    engine: DockerEngine,
    images: Arc<dyn Images>,
    told: Arc<Mutex<Vec<BuildNews>>>,
}

impl Site {
    async fn new() -> Self {
        let stage = Stage::new();
        let engine = stage.engine().await;
        let images = engine.images().unwrap();
        Self { stage, engine, images, told: Arc::default() }
    }

    fn name(&self, tag: &str) -> String {
        format!("staithe-test/{}:{tag}", self.stage.owner)
    }

    fn labels(&self) -> Labels {
        self.stage.all()
    }

    /// Every image of the Dockerfile carries its owner from the second step on, also those in between.
    fn order(&self, builder: Builder, base: &str, steps: &str) -> BuildOrder {
        let dockerfile = format!("FROM {base}\nENV MARK={}\n{steps}\n", self.stage.owner);
        BuildOrder {
            name: self.name("built"),
            builder,
            context: context(vec![("Dockerfile".to_owned(), dockerfile.into_bytes())]),
            labels: self.labels(),
            build_args: BTreeMap::new(),
            platform: String::new(),
            anew: false,
            memory: 0,
            cpus: 0.0,
            network: String::new(),
            limit: Duration::from_mins(2),
            cancel: CancellationToken::new(),
        }
    }

    async fn build(&self, order: BuildOrder) -> Result<String, BuildFailed> {
        self.told.lock().unwrap().clear();
        let told = Arc::clone(&self.told);
        self.images.build(order, &move |news| told.lock().unwrap().push(news)).await
    }

    /// What was told, steps as `2/3 RUN …`.
    fn news(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        let word = |news: &BuildNews| match news {
            BuildNews::Step { number, of, text } => format!("{number}/{of} {text}"),
            BuildNews::Line(line) => line.clone(),
        };
        told.iter().map(word).collect()
    }

    /// Images and containers on the engine, named or not, that a build here made.
    fn left(&self) -> Vec<String> {
        let mark = format!("MARK={}", self.stage.owner);
        let marked = |id: &&str| docker(&["inspect", id, "-f", "{{.Config.Env}}"]).contains(&mark);
        let (images, containers) = (docker(&["images", "-aq"]), docker(&["ps", "-aq"]));
        let images = images.lines().filter(marked).map(|id| format!("image {id}"));
        let containers = containers.lines().filter(marked).map(|id| format!("container {id}"));
        let mut left: Vec<_> = images.chain(containers).collect();
        left.sort();
        left
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let filter = format!("label={LABEL_OWNER}={}", self.stage.owner);
        for id in docker(&["images", "-q", "--filter", &filter]).lines() {
            docker(&["rmi", "-f", id]);
        }
    }
}

fn context(files: Vec<(String, Vec<u8>)>) -> WriteContext {
    Arc::new(move |to| {
        let mut tar = tar::Builder::new(to);
        for (name, content) in &files {
            append(&mut tar, name, content.len() as u64, content.as_slice())?;
        }
        tar.finish()
    })
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    name: &str,
    size: u64,
    content: impl io::Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, content)
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Processes on this machine whose command has this word.
fn processes(word: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    commands.filter(|command| String::from_utf8_lossy(command).contains(word)).count()
}

#[tokio::test]
async fn a_build_tells_its_steps_and_lines_in_order_and_makes_what_was_ordered() {
    for builder in BUILDERS {
        let site = Site::new().await;
        assert!(site.images.builders().contains(&builder));
        let steps =
            "ARG WHAT\nRUN printf \"a\\033[31mred\\033[0m line of $WHAT\\nnext\\r\\n\"\nUSER 1234";
        let order = site.order(builder, BASE, steps);
        let build_args = BTreeMap::from([("WHAT".to_owned(), "mine".to_owned())]);
        let id = site.build(BuildOrder { build_args, ..order.clone() }).await.unwrap();
        let news = site.news();
        let at = |word: &str| news.iter().position(|news| news.contains(word));
        let places = [
            at(" FROM staithe-test/base:1"),
            at(" RUN printf"),
            at("ared line of mine"),
            news.iter().position(|news| news == "next"),
        ];
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{builder:?}: {news:#?}");
        assert!(
            !news.iter().any(|news| news.contains("--->") || news.contains("Removing")),
            "{news:?}"
        );
        let numbers: Vec<_> = site
            .told
            .lock()
            .unwrap()
            .iter()
            .filter_map(|news| match news {
                BuildNews::Step { number, of, .. } if number <= of => Some(*number),
                _ => None,
            })
            .collect();
        assert!(numbers.len() >= 2 && numbers.iter().zip(1..).all(|(n, i)| *n == i), "{numbers:?}");

        let found = site.images.inspect(&order.name).await.unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.user.as_str()), (id.as_str(), "1234"));
        assert_eq!(found.names, std::slice::from_ref(&order.name));
        assert_eq!(found.labels[LABEL_OWNER], site.stage.owner);
        assert_eq!(found.platform, site.images.platform());
        let mark = format!("MARK={}", site.stage.owner);
        assert!(docker(&["inspect", &id, "-f", "{{.Config.Env}}"]).contains(&mark));
        assert_eq!(site.images.list(&site.labels()).await.unwrap(), [found]);

        let layers = site.images.layers(&order.name).await.unwrap();
        let at = |word: &str| layers.iter().position(|layer| layer.created_by.contains(word));
        assert!(at("MARK=").unwrap() < at("printf").unwrap(), "oldest first: {layers:#?}");

        // Again it comes from the cache, and anew it does not.
        let again = order.clone();
        site.build(again).await.unwrap();
        site.build(BuildOrder { anew: true, ..order.clone() }).await.unwrap();
        assert!(site.news().iter().any(|news| news.contains("red line of")), "{:?}", site.news());
        site.images.remove(&order.name).await.unwrap();
        site.images.remove(&order.name).await.unwrap();
        assert_eq!(site.images.inspect(&order.name).await.unwrap(), None);
        // Images that lost their name are the next pass's.
        site.engine.sweep(&site.stage.owner, &std::collections::BTreeSet::new()).await.unwrap();
        assert_eq!(site.left(), Vec::<String>::new(), "{builder:?}");
    }
}

#[tokio::test]
async fn a_context_larger_than_what_may_be_held_is_streamed() {
    const SIZE: u64 = 300 << 20;
    for builder in BUILDERS {
        let site = Site::new().await;
        let most = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&most);
        let context: WriteContext = Arc::new(move |to| {
            let mut tar = tar::Builder::new(Watched { to, seen: &seen });
            let dockerfile = format!("FROM {SCRATCH}\nCOPY big /big\n");
            append(&mut tar, "Dockerfile", dockerfile.len() as u64, dockerfile.as_bytes())?;
            append(&mut tar, "big", SIZE, io::Read::take(io::repeat(0), SIZE))?;
            tar.finish()
        });
        let before = resident();
        let order = BuildOrder { context, ..site.order(builder, SCRATCH, "") };
        let name = order.name.clone();
        site.build(order).await.unwrap();
        assert!(most.load(Ordering::SeqCst) > 0, "it was watched");
        let grown = most.load(Ordering::SeqCst).saturating_sub(before);
        assert!(grown < 64 << 20, "{builder:?}: {grown} bytes more");
        let bytes = site.images.inspect(&name).await.unwrap().unwrap().size;
        assert_eq!(bytes, SIZE, "{builder:?}: nothing of it is missing");
        // A large file is there, and not read.
        let found = site.images.look_into(&name, &["/big"], true).await.unwrap();
        assert_eq!(found["/big"], Found::File(None));
        assert!(SIZE > LOOK_MAX as u64);
    }
}

/// A writer that sees how much memory is used meanwhile.
struct Watched<'a> {
    to: &'a mut dyn Write,
    seen: &'a AtomicU64,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.seen.fetch_max(resident(), Ordering::SeqCst);
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[tokio::test]
async fn a_step_that_fails_is_told_with_its_last_lines_and_leaves_nothing() {
    for builder in BUILDERS {
        let site = Site::new().await;
        let steps =
            "RUN touch /made\nRUN for i in $(seq 1 80); do echo line $i; done; exit 7\nRUN true";
        let failed = site.build(site.order(builder, BASE, steps)).await.unwrap_err();
        let BuildFailed::Step { number, of, text, cause, tail } = failed else {
            panic!("{builder:?}: {failed:?}");
        };
        assert!(text.starts_with("RUN for i in"), "{text}");
        assert!(number > 1 && number < of, "{builder:?}: {number} of {of}");
        assert!(cause.contains("code: 7"), "{cause}");
        assert_eq!(tail.len(), 50, "{tail:?}");
        assert_eq!((tail[0].as_str(), tail[49].as_str()), ("line 31", "line 80"));
        assert_eq!(site.images.inspect(&site.name("built")).await.unwrap(), None);
        assert_eq!(site.left(), Vec::<String>::new(), "{builder:?}");
        let written = std::fs::read_dir(site.stage.dir.path().join("builds")).unwrap();
        assert_eq!(written.count(), 1, "only the lock");
    }
}

#[tokio::test]
async fn what_another_image_is_made_of_stays_when_a_build_fails() {
    let site = Site::new().await;
    let common = "RUN touch /common";
    let first =
        BuildOrder { name: site.name("kept"), ..site.order(Builder::Classic, BUSYBOX, common) };
    site.build(first).await.unwrap();
    let before = site.left();
    let steps = format!("{common}\nRUN touch /more\nRUN false");
    site.build(site.order(Builder::Classic, BUSYBOX, &steps)).await.unwrap_err();
    assert_eq!(site.left(), before, "no more and no less");
}

#[tokio::test]
async fn a_step_without_a_network_has_none() {
    let steps = "RUN echo interfaces: $(ls /sys/class/net)";
    for builder in BUILDERS {
        let site = Site::new().await;
        for (network, alone) in [("none", true), ("", false)] {
            // Otherwise the second would come from the cache of the first.
            let order = BuildOrder { anew: true, ..site.order(builder, BUSYBOX, steps) };
            let network = network.to_owned();
            site.build(BuildOrder { network, ..order }).await.unwrap();
            let news = site.news();
            let told = news.iter().find(|line| line.starts_with("interfaces:")).unwrap();
            assert_eq!(!told.contains("eth0"), alone, "{builder:?}: {told}");
        }
    }
}

#[tokio::test]
async fn a_step_has_no_more_memory_and_processors_than_were_ordered() {
    let site = Site::new().await;
    let steps = "RUN cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max \
                 cpu/cpu.cfs_quota_us cpu.max 2>/dev/null; \
                 grep -c staithe-build.invalid /etc/hosts";
    // More than the client's own field holds, too.
    for (memory, bytes) in [(64 << 20, "67108864"), (3 << 30, "3221225472")] {
        let order =
            BuildOrder { anew: true, memory, ..site.order(Builder::Classic, BUSYBOX, steps) };
        site.build(BuildOrder { cpus: 0.5, ..order }).await.unwrap();
        let news = site.news();
        let at = |words: &[&str]| news.iter().any(|line| words.contains(&line.as_str()));
        assert!(at(&[bytes]) && at(&["50000", "50000 100000"]), "{news:?}");
        assert!(at(&["1"]), "the mark of its containers: {news:?}");
    }
}

/// A running container that no build made; gone when it is dropped.
struct Innocent(String);

impl Innocent {
    fn start() -> Self {
        Self(docker(&["run", "-d", BUSYBOX, "sleep", "600"]).trim().to_owned())
    }

    fn runs(&self) -> bool {
        docker(&["inspect", &self.0, "-f", "{{.State.Running}}"]).trim() == "true"
    }
}

impl Drop for Innocent {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

/// A step can print all that the builder says, also that the next of its steps (the fifth are the labels) began
/// in that container.
#[tokio::test]
async fn a_container_that_a_failing_step_names_runs_on() {
    let site = Site::new().await;
    let innocent = Innocent::start();
    let (id, short) = (&innocent.0, &innocent.0[..12]);
    let plain =
        format!("RUN echo ' ---> Running in {short}'; echo ' ---> {short}'; exit 3\nRUN true");
    let next_step = format!(
        "RUN printf 'Step 4/5 : RUN it'; sleep 1; echo ' ---> Running in {id}'; sleep 1; exit 3\n\
         RUN true"
    );
    for (steps, number) in [(plain, 3), (next_step, 4)] {
        let failed = site.build(site.order(Builder::Classic, BUSYBOX, &steps)).await.unwrap_err();
        let BuildFailed::Step { number: at, .. } = failed else { panic!("{failed:?}") };
        assert_eq!(at, number, "where it was believed to be: {:?}", site.news());
        assert!(innocent.runs(), "{steps}");
    }
    assert_eq!(site.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_base_that_is_not_there_is_named() {
    for builder in BUILDERS {
        let site = Site::new().await;
        let order = site.order(builder, "staithe-test/nothing:1", "RUN true");
        let failed = site.build(order).await.unwrap_err();
        let BuildFailed::Base { image, cause } = failed else { panic!("{builder:?}: {failed:?}") };
        assert_eq!(image, "staithe-test/nothing:1");
        assert!(!cause.is_empty());
        assert_eq!(site.left(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_dockerfile_that_cannot_be_read_is_the_engines_refusal() {
    for builder in BUILDERS {
        let site = Site::new().await;
        let failed = site.build(site.order(builder, BUSYBOX, "NONSENSE x")).await.unwrap_err();
        let BuildFailed::Engine(EngineFailed::Operation { source, .. }) = failed else {
            panic!("{builder:?}: {failed:?}");
        };
        assert!(source.to_string().contains("NONSENSE"), "{source}");
    }
}

#[tokio::test]
async fn a_full_disk_in_a_step_is_a_full_disk() {
    for builder in BUILDERS {
        let site = Site::new().await;
        // The builder gives a step 64 MiB there.
        let steps = "RUN touch /made\nRUN head -c 200000000 /dev/zero > /dev/shm/x";
        let failed = site.build(site.order(builder, BASE, steps)).await.unwrap_err();
        let BuildFailed::DiskFull { tail, .. } = failed else { panic!("{builder:?}: {failed:?}") };
        assert!(tail.iter().any(|line| line.contains("No space left on device")), "{tail:?}");
        assert_eq!(site.left(), Vec::<String>::new(), "{builder:?}");
    }
}

#[tokio::test]
async fn a_build_that_is_cancelled_ends_at_once_with_all_its_processes() {
    for builder in BUILDERS {
        let site = Site::new().await;
        let word = format!("sleep 60{}", std::process::id());
        let order = site.order(builder, BASE, &format!("RUN touch /made\nRUN {word}; true"));
        let cancel = order.cancel.clone();
        let running = {
            let word = word.replace(' ', "\0");
            move || processes(&word)
        };
        let began = {
            let running = running.clone();
            async move {
                eventually("the step runs", || running() > 0).await;
                cancel.cancel();
                Instant::now()
            }
        };
        let (outcome, began) = tokio::join!(site.build(order), began);
        assert!(matches!(outcome, Err(BuildFailed::Cancelled)), "{builder:?}: {outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "{builder:?}: {:?}", began.elapsed());
        eventually("its processes are gone", || running() == 0).await;
        eventually("nothing is left", || site.left().is_empty()).await;
        assert_eq!(site.images.inspect(&site.name("built")).await.unwrap(), None);
    }
}

/// The first builder ends no step that copies: its image comes when nobody listens any more.
#[tokio::test]
async fn a_build_that_is_cancelled_while_it_copies_leaves_nothing() {
    for builder in BUILDERS {
        let site = Site::new().await;
        let dockerfile =
            format!("FROM {BUSYBOX}\nENV MARK={}\nCOPY big /big\nRUN true\n", site.stage.owner);
        let files = vec![
            ("Dockerfile".to_owned(), dockerfile.into_bytes()),
            ("big".to_owned(), vec![b'x'; 4 << 20]),
        ];
        let order = BuildOrder { context: context(files), ..site.order(builder, BUSYBOX, "") };
        let cancel = order.cancel.clone();
        let tell = move |news| match news {
            BuildNews::Step { text, .. } if text.starts_with("COPY") => cancel.cancel(),
            _ => {}
        };
        let outcome = site.images.build(order.clone(), &tell).await;
        assert!(matches!(outcome, Err(BuildFailed::Cancelled)), "{builder:?}: {outcome:?}");
        // One that goes on to its end takes longer than what was left of the other.
        let cancel = CancellationToken::new();
        site.build(BuildOrder { anew: true, cancel, ..order.clone() }).await.unwrap();
        site.images.remove(&order.name).await.unwrap();
        assert_eq!(site.left(), Vec::<String>::new(), "{builder:?}");
    }
}

#[tokio::test]
async fn a_build_that_takes_too_long_says_where_it_was() {
    for builder in BUILDERS {
        let site = Site::new().await;
        let order = site.order(builder, BASE, "RUN echo working; sleep 100");
        let limit = Duration::from_secs(20);
        let failed = site.build(BuildOrder { limit, ..order }).await.unwrap_err();
        let BuildFailed::TimedOut { number, of, text, tail, .. } = failed else {
            panic!("{builder:?}: {failed:?}");
        };
        assert!(number > 1 && number <= of && text.starts_with("RUN echo"), "{number} {of} {text}");
        assert_eq!(tail, ["working"]);
        eventually("nothing is left", || site.left().is_empty()).await;
    }
}

#[tokio::test]
async fn a_context_that_breaks_off_makes_no_image() {
    for builder in BUILDERS {
        let site = Site::new().await;
        let broken: WriteContext = Arc::new(|to| {
            let mut tar = tar::Builder::new(to);
            let dockerfile = format!("FROM {SCRATCH}\nCOPY . /\n");
            append(&mut tar, "Dockerfile", dockerfile.len() as u64, dockerfile.as_bytes())?;
            append(&mut tar, "some", 1 << 20, io::Read::take(io::repeat(0), 1 << 20))?;
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "a file can't be read"))
        });
        let order = BuildOrder { context: broken, ..site.order(builder, SCRATCH, "") };
        let failed = site.build(order).await.unwrap_err();
        let BuildFailed::Context(error) = failed else { panic!("{builder:?}: {failed:?}") };
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(site.images.inspect(&site.name("built")).await.unwrap(), None);
    }
}

/// As when the server is killed: nobody takes anything away until the next pass does.
#[tokio::test]
async fn what_a_build_left_that_nobody_ended_goes_with_the_next_pass() {
    let site = Site::new().await;
    let none = std::collections::BTreeSet::new();
    let word = format!("sleep 61{}", std::process::id());
    let order = site.order(Builder::Classic, BASE, &format!("RUN touch /made\nRUN {word}"));
    let word = word.replace(' ', "\0");
    {
        let build = site.build(order);
        let runs = eventually("the step runs", || processes(&word) > 0);
        tokio::select! {
            outcome = build => panic!("{outcome:?}"),
            () = runs => {}
        }
        // A pass beside a build takes nothing of it.
        assert!(!site.left().is_empty());
    }
    eventually("the engine ended the step", || processes(&word) == 0).await;
    assert!(!site.left().is_empty(), "images of its steps are there");
    let removed = site.engine.sweep(&site.stage.owner, &none).await.unwrap();
    assert!(!removed.is_empty());
    assert_eq!(site.left(), Vec::<String>::new());
    assert_eq!(site.engine.sweep(&site.stage.owner, &none).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_pass_takes_nothing_of_a_build_that_goes_on() {
    let site = Site::new().await;
    let steps = format!("LABEL {LABEL_OWNER}={}\nRUN sleep 3", site.stage.owner);
    let order = site.order(Builder::Classic, BASE, &steps);
    let ended = CancellationToken::new();
    let passes = async {
        while !ended.is_cancelled() {
            site.engine.sweep(&site.stage.owner, &std::collections::BTreeSet::new()).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let build = async {
        let outcome = site.build(order).await;
        ended.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(build, passes);
    outcome.unwrap();
    assert!(site.images.inspect(&site.name("built")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_in_an_image_is_seen_without_running_it() {
    let site = Site::new().await;
    let paths = ["/bin/sh", "/etc/os-release", "/etc", "/nothing", "/usr/bin/git", "/dev/null"];
    let found = site.images.look_into(BASE, &paths, true).await.unwrap();
    let Found::File(Some(shell)) = &found["/bin/sh"] else { panic!("{found:?}") };
    assert!(shell.starts_with(b"\x7fELF"), "a link to a program is followed");
    let Found::File(Some(release)) = &found["/etc/os-release"] else { panic!("{found:?}") };
    assert!(String::from_utf8_lossy(release).contains("ID=debian"));
    assert_eq!(found["/etc"], Found::Folder);
    assert!(!found.contains_key("/nothing"));
    let unread = site.images.look_into(BASE, &["/bin/sh"], false).await.unwrap();
    assert_eq!(unread["/bin/sh"], Found::File(None));

    let found =
        site.images.look_into(BUSYBOX, &["/bin/sh", "/etc/os-release"], false).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["/bin/sh"]);
    let found = site.images.look_into(SCRATCH, &["/bin/sh", "/"], true).await.unwrap();
    assert_eq!(found, BTreeMap::from([("/".to_owned(), Found::Folder)]));
    let missing = site.images.look_into("staithe-test/nothing:1", &["/"], false).await;
    assert!(matches!(missing, Err(EngineFailed::Image { .. })), "{missing:?}");
    assert_eq!(site.stage.left(), Vec::<String>::new());
}

#[tokio::test]
async fn links_in_an_image_lead_nowhere_else_and_end() {
    let site = Site::new().await;
    let steps = "RUN ln -s a /b; ln -s b /a; ln -s ../../../d/e /c; mkdir /d; echo text > /d/e; \
                 ln -s /d /f; mkfifo /pipe";
    site.build(site.order(Builder::Classic, BUSYBOX, steps)).await.unwrap();
    let paths = ["/a", "/c", "/f/e", "/f", "/pipe"];
    let found = site.images.look_into(&site.name("built"), &paths, true).await.unwrap();
    let text = Found::File(Some(b"text\n".to_vec()));
    let expected = [("/c", text.clone()), ("/f", Found::Folder), ("/f/e", text)];
    assert_eq!(found, expected.map(|(path, found)| (path.to_owned(), found)).into());
}

#[tokio::test]
async fn a_look_that_is_given_up_leaves_no_container() {
    let site = Site::new().await;
    for _ in 0..5 {
        let images = Arc::clone(&site.images);
        let look =
            tokio::spawn(async move { images.look_into(BASE, &["/bin/sh"; 50], true).await });
        eventually("its container is there", || {
            !site.stage.left().is_empty() || look.is_finished()
        })
        .await;
        look.abort();
        eventually("its container is gone", || site.stage.left().is_empty()).await;
    }
}

#[tokio::test]
async fn an_image_gets_further_names_and_goes_with_its_last_one_unless_it_is_used() {
    let site = Site::new().await;
    let id = site.build(site.order(Builder::Classic, BUSYBOX, "RUN touch /x")).await.unwrap();
    let (first, second) = (site.name("built"), site.name("second"));
    site.images.tag(&first, &second).await.unwrap();
    assert_eq!(site.images.inspect(&second).await.unwrap().unwrap().id, id);
    assert!(site.images.tag("staithe-test/nothing:1", &second).await.is_err());
    assert!(!site.images.used().await.unwrap().contains(&id));
    let container = site.name("c").replace(['/', ':'], "-");
    docker(&["create", "--name", &container, &id, "true"]);
    assert!(site.images.used().await.unwrap().contains(&id));
    site.images.remove(&first).await.unwrap();
    let refused = site.images.remove(&second).await;
    let Err(EngineFailed::Operation { source, remedy, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(source.to_string().contains(&container), "{source}");
    assert!(remedy.contains("docker rm"), "{remedy}");
    docker(&["rm", "-f", &container]);
    site.images.remove(&second).await.unwrap();
    assert_eq!(site.images.inspect(&id).await.unwrap(), None);
    assert_eq!(site.left(), Vec::<String>::new());
}

#[tokio::test]
async fn an_image_goes_into_a_file_and_comes_out_of_it() {
    let site = Site::new().await;
    let id = site.build(site.order(Builder::Classic, BUSYBOX, "RUN touch /x")).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (file, name) = (dir.path().join("images.tar"), site.name("built"));
    site.images.save(&[&name], &file).await.unwrap();
    site.images.remove(&name).await.unwrap();
    assert_eq!(site.images.inspect(&name).await.unwrap(), None);
    site.images.load(&file).await.unwrap();
    assert_eq!(site.images.inspect(&name).await.unwrap().unwrap().id, id);

    let nothing =
        site.images.save(&["staithe-test/nothing:1"], &dir.path().join("other.tar")).await;
    assert!(nothing.is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no half file");
    let half = std::fs::read(&file).unwrap();
    std::fs::write(&file, &half[..half.len() / 2]).unwrap();
    assert!(site.images.load(&file).await.is_err(), "half a file is refused");
    assert!(site.images.load(&dir.path().join("none")).await.is_err());
}

/// Counts the connections to the engine.
fn counted(dir: &std::path::Path) -> (String, Arc<AtomicU64>) {
    let path = dir.join("counted.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let open = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&open);
    let engine = address().trim_start_matches("unix://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (count, engine) = (Arc::clone(&count), engine.clone());
            tokio::spawn(async move {
                count.fetch_add(1, Ordering::SeqCst);
                let mut engine = UnixStream::connect(engine).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut client, &mut engine).await);
                count.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (format!("unix://{}", path.display()), open)
}

#[tokio::test]
async fn a_build_keeps_no_connection_whatever_becomes_of_it() {
    for builder in BUILDERS {
        let mut site = Site::new().await;
        let (host, open) = counted(site.stage.dir.path());
        let config = DockerConfig { host, ..site.stage.config() };
        site.engine = DockerEngine::open(config).await.unwrap();
        site.images = site.engine.images().unwrap();
        site.build(site.order(builder, BUSYBOX, "RUN touch /x")).await.unwrap();
        // The events, and one that waits for the next call.
        eventually("the first build's connections end", || open.load(Ordering::SeqCst) <= 3).await;
        for _ in 0..4 {
            site.build(site.order(builder, BUSYBOX, "RUN touch /x")).await.unwrap();
            site.build(site.order(builder, BUSYBOX, "RUN false")).await.unwrap_err();
        }
        eventually("no build keeps one", || open.load(Ordering::SeqCst) <= 3).await;
    }
}
