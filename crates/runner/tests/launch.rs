//! The launcher from outside: the real binary, real namespaces, commands in place of the runner.
//!
//! As root each claim is also checked as an ordinary user, who is what most people are.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use staithe_runner::launch::{EXIT_REFUSED, Network, Spec, Tier, TierReport};
use tempfile::TempDir;

const NOBODY: u32 = 65534;

/// Who launches.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Myself,
    Nobody,
}

/// Everyone as whom this test can launch.
fn everyone() -> Vec<Who> {
    let root = rustix::process::geteuid().is_root();
    if root { vec![Who::Myself, Who::Nobody] } else { vec![Who::Myself] }
}

/// Directories of one sandbox, and the means to launch it.
struct Stage {
    dir: TempDir,
    who: Who,
    spec: Spec,
}

impl Stage {
    fn new(who: Who, tier: Tier) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["workspace", "run", "secret"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("secret/file"), "secret").unwrap();
        let spec = Spec {
            workspace: dir.path().join("workspace"),
            run_dir: dir.path().join("run"),
            hostname: "sand".into(),
            network: Network::None,
            tier,
            read_only_paths: Vec::new(),
            hidden_paths: vec![dir.path().to_owned()],
            tmpfs_bytes: 16 << 20,
            pids_limit: 400,
            env: [("FROM_SPEC".to_owned(), "yes".to_owned())].into(),
            tier_report: dir.path().join("tier.json"),
            probe: false,
            command: None,
        };
        Self { dir, who, spec }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Launches a shell script in place of the runner.
    fn launch(&self, script: &str) -> Child {
        let mut spec = self.spec.clone();
        spec.command = Some(["/bin/bash", "-c", script].map(str::to_owned).into());
        self.spawn(&spec)
    }

    fn spawn(&self, spec: &Spec) -> Child {
        let path = self.path("spec.json");
        fs::write(&path, serde_json::to_vec(spec).unwrap()).unwrap();
        let mut command = match self.who {
            Who::Myself => Command::new(RUNNER),
            Who::Nobody => self.as_nobody(),
        };
        command.arg("launch").arg(path).env("OF_SERVER", "secret");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// The runner, where everybody can reach it, run by nobody.
    fn as_nobody(&self) -> Command {
        let runner = self.path("runner");
        // By another process: open for writing here, it could be busy when it is to be run.
        let copied = Command::new("install").args(["-m", "755", RUNNER]).arg(&runner).status();
        assert!(copied.unwrap().success());
        for name in ["", "workspace", "run", "secret", "spec.json"] {
            std::os::unix::fs::chown(self.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(runner);
        command
    }

    /// What a script prints, stdout and stderr in one.
    #[track_caller]
    fn output(&self, script: &str) -> String {
        let output = self.launch(&format!("exec 2>&1; {script}")).wait_with_output().unwrap();
        let refused = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(refused.is_empty(), "{:?}: {refused}", self.who);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn report(&self) -> TierReport {
        serde_json::from_slice(&fs::read(self.path("tier.json")).unwrap()).unwrap()
    }
}

const RUNNER: &str = env!("CARGO_BIN_EXE_staithe-runner");

/// Waits until something holds; says what did not.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("never: {what}");
}

/// Numbers of the processes that have this word on their command line.
fn processes_with(word: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|argument| argument == word.as_bytes())
    };
    numbers.filter(has).collect()
}

/// A number of seconds that no other test sleeps for.
fn odd_sleep() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("9{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// One line of output per question.
#[track_caller]
fn check(tier: Tier, script: &str, expected: &[&str]) {
    for who in everyone() {
        let output = Stage::new(who, tier).output(script);
        for line in expected {
            assert!(output.contains(line), "{who:?} {tier:?}: no {line:?} in:\n{output}");
        }
    }
}

#[test]
fn no_capability_is_left_and_none_can_come_back() {
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr '\\t' ' '; id -un";
    check(
        Tier::Namespaces,
        script,
        &[
            "CapInh: 0000000000000000",
            "CapPrm: 0000000000000000",
            "CapEff: 0000000000000000",
            "CapBnd: 0000000000000000",
            "CapAmb: 0000000000000000",
            "NoNewPrivs: 1",
            "Seccomp: 2",
            "staithe",
        ],
    );
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr '\\t' ' '";
    check(
        Tier::Landlock,
        script,
        &["CapEff: 0000000000000000", "CapPrm: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2"],
    );
}

#[test]
fn the_secrets_of_the_host_are_not_there() {
    for who in everyone() {
        for tier in [Tier::Namespaces, Tier::Landlock] {
            let stage = Stage::new(who, tier);
            let secret = stage.path("secret/file");
            let output = stage.output(&format!(
                "for f in /etc/shadow /root {} /var/log; do \
                 if [ -d $f ]; then ls $f >/dev/null && echo seen $f; else cat $f && echo seen $f; fi; \
                 done; env; cat /proc/1/environ | tr '\\0' '\\n'; echo done",
                secret.display()
            ));
            assert!(!output.contains("seen "), "{who:?} {tier:?}: {output}");
            assert!(!output.contains("OF_SERVER"), "{who:?} {tier:?}: {output}");
            assert!(output.contains("FROM_SPEC=yes") && output.contains("done"), "{output}");
        }
    }
}

#[test]
fn mounts_and_namespaces_are_refused() {
    let script = "mount -t tmpfs none /tmp || echo no mount; unshare -U true || echo no userns; \
        unshare -m true || echo no mountns; \
        python3 -c 'import ctypes; l=ctypes.CDLL(None,use_errno=True); \
        print(\"clone3\", l.syscall(435,0,0), ctypes.get_errno()); \
        print(\"bpf\", l.syscall(321,0,0,0), ctypes.get_errno()); \
        print(\"keyctl\", l.syscall(250,0,0), ctypes.get_errno()); \
        print(\"uring\", l.syscall(425,1,0), ctypes.get_errno()); \
        print(\"x32\", l.syscall(0x40000000+39), ctypes.get_errno())'; true";
    let expected = [
        "no mount",
        "no userns",
        "no mountns",
        "clone3 -1 38",
        "bpf -1 1",
        "keyctl -1 1",
        "uring -1 1",
        "x32 -1 38",
    ];
    for tier in [Tier::Namespaces, Tier::Landlock] {
        if cfg!(target_arch = "x86_64") {
            check(tier, script, &expected);
        }
    }
}

#[test]
fn nothing_of_the_host_can_be_changed() {
    let script = "touch /x || echo no root; touch /usr/x || echo no usr; touch /etc/x || echo no etc; \
        echo x > /proc/sys/kernel/core_pattern || echo no sysctl; \
        chmod 600 /dev/null || echo no chmod; echo fine > /dev/null && echo null works; \
        touch /proc/1/exe || echo no runner; (exec 3>>/run/staithe-runner) || echo no binary";
    let denied = [
        "no root",
        "no usr",
        "no etc",
        "no sysctl",
        "no chmod",
        "null works",
        "no runner",
        "no binary",
    ];
    check(Tier::Namespaces, script, &denied);
    check(
        Tier::Landlock,
        "touch /x || echo no root; touch /usr/x || echo no usr; touch /etc/x || echo no etc; \
         echo x > /proc/sys/kernel/core_pattern || echo no sysctl; head -c1 /dev/vda || echo no disk",
        &["no root", "no usr", "no etc", "no sysctl", "no disk"],
    );
}

#[test]
fn terminals_and_shared_memory_work() {
    check(
        Tier::Namespaces,
        "script -qc tty /dev/null; \
         python3 -c 'import multiprocessing as m; m.Lock(); print(\"lock\")'; \
         echo a > /tmp/a && cat /tmp/a | tee /dev/stderr; cat <(echo substituted)",
        &["/dev/pts/0", "lock", "a", "substituted"],
    );
    check(
        Tier::Landlock,
        "script -qc tty /dev/null; cat <(echo substituted)",
        &["/dev/pts/", "substituted"],
    );
}

#[test]
fn only_its_own_processes_are_seen() {
    let word = odd_sleep();
    let mut stranger = Command::new("sleep").arg(&word).spawn().unwrap();
    for who in everyone() {
        let script =
            format!("echo first $$; grep -l [9]{} /proc/[0-9]*/cmdline && echo seen", &word[1..]);
        let output = Stage::new(who, Tier::Namespaces).output(&script);
        assert!(output.contains("first 1\n"), "{output}");
        assert!(!output.contains("seen"), "{output}");
    }
    for who in everyone() {
        let stage = Stage::new(who, Tier::Landlock);
        let output = stage.output(&format!("kill -9 {} || echo spared", stranger.id()));
        assert!(output.contains("spared"), "{output}");
    }
    assert_eq!(stranger.try_wait().unwrap(), None);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn without_a_network_there_is_only_itself() {
    let script = "python3 - <<'E'\nimport socket\n\
        def dial(a):\n  try:\n    s=socket.socket(); s.settimeout(2); s.connect(a); return 'reached'\n\
        \x20 except OSError as e: return e.errno\n\
        print('outside', dial(('192.0.2.1', 80)))\n\
        try:\n  l=socket.create_server(('127.0.0.1', 0)); print('inside', dial(l.getsockname()))\n\
        except OSError as e: print('inside', e.errno)\nE\ncat /proc/net/route | wc -l";
    check(Tier::Namespaces, script, &["outside 101", "inside reached", "1\n"]);
    check(Tier::Landlock, script, &["outside 1\n", "inside 1\n"]);
}

#[test]
fn files_made_inside_belong_to_whoever_launched() {
    use std::os::unix::fs::MetadataExt;
    for who in everyone() {
        for tier in [Tier::Namespaces, Tier::Landlock, Tier::None] {
            let stage = Stage::new(who, tier);
            stage.output("echo content > made; stat -c %a made");
            let made = fs::metadata(stage.path("workspace/made")).unwrap();
            let owner = match who {
                Who::Myself => rustix::process::geteuid().as_raw(),
                Who::Nobody => NOBODY,
            };
            assert_eq!((made.uid(), made.mode() & 0o777), (owner, 0o644), "{who:?} {tier:?}");
        }
    }
}

#[test]
fn the_strongest_tier_is_found_and_reported() {
    for who in everyone() {
        let mut stage = Stage::new(who, Tier::Auto);
        stage.spec.probe = true;
        let status = stage.spawn(&stage.spec).wait().unwrap();
        assert!(status.success(), "{who:?}");
        let report = stage.report();
        assert_eq!((report.tier, report.seccomp), (Tier::Namespaces, true), "{who:?}");
        assert!(report.landlock_abi > 0);
        assert_eq!(report.root, who == Who::Myself && rustix::process::geteuid().is_root());
    }
}

#[test]
fn a_tier_asked_for_by_name_is_had_or_refused_in_one_line() {
    let stage = Stage::new(Who::Myself, Tier::Namespaces);
    let mut spec = stage.spec.clone();
    spec.workspace = stage.path("not-there");
    let output = stage.spawn(&spec).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(EXIT_REFUSED)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("staithe launcher: can't find") && said.lines().count() == 1,
        "{said}"
    );
    assert!(fs::read(stage.path("tier.json")).unwrap_or_default().is_empty());
}

#[test]
fn the_exit_status_is_that_of_the_first_process() {
    for tier in [Tier::Namespaces, Tier::Landlock, Tier::None] {
        let stage = Stage::new(Who::Myself, tier);
        assert_eq!(stage.launch("exit 3").wait().unwrap().code(), Some(3), "{tier:?}");
    }
    let stage = Stage::new(Who::Myself, Tier::None);
    assert_eq!(stage.launch("kill -9 $$").wait().unwrap().code(), Some(128 + 9));
}

/// Launches a first process with a daemonised grandchild, and waits until both live.
fn with_daemon(stage: &Stage, word: &str) -> Child {
    let child = stage.launch(&format!(
        "trap 'echo asked > asked; exit 0' TERM; \
         (setsid env -i sleep {word} </dev/null >/dev/null 2>&1 &); touch ready; \
         while :; do sleep 0.05; done"
    ));
    eventually("it is ready", || stage.path("workspace/ready").exists());
    eventually("the daemon lives", || !processes_with(word).is_empty());
    child
}

#[test]
fn a_polite_end_takes_daemons_along() {
    for who in everyone() {
        for tier in [Tier::Namespaces, Tier::Landlock, Tier::None] {
            let (stage, word) = (Stage::new(who, tier), odd_sleep());
            let mut child = with_daemon(&stage, &word);
            signal(&child, rustix::process::Signal::TERM);
            let status: ExitStatus = child.wait().unwrap();
            assert_eq!(status.code(), Some(0), "{who:?} {tier:?}");
            assert!(stage.path("workspace/asked").exists(), "the signal was passed on");
            assert_eq!(processes_with(&word), [0; 0], "{who:?} {tier:?}");
        }
    }
}

#[test]
fn killing_the_launcher_kills_all_that_it_launched() {
    for who in everyone() {
        let (stage, word) = (Stage::new(who, Tier::Namespaces), odd_sleep());
        let mut child = with_daemon(&stage, &word);
        signal(&child, rustix::process::Signal::KILL);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        eventually("all are gone", || processes_with(&word).is_empty());
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

#[test]
fn the_number_of_processes_is_limited_where_it_is_reported_so() {
    for who in everyone() {
        let stage = Stage::new(who, Tier::Namespaces);
        let script = "python3 - <<'E'\nimport os\nn=0\ntry:\n  while n < 2000:\n    if os.fork() == 0: __import__('signal').pause()\n    n+=1\nexcept OSError as e: print('stopped', n, e.errno)\nE\ntrue";
        let output = stage.output(script);
        if stage.report().pids_limited {
            assert!(output.contains("stopped"), "{who:?}: {output}");
        }
    }
}

#[test]
fn a_readable_tree_hides_what_must_be_hidden_in_it() {
    for who in everyone() {
        for tier in [Tier::Namespaces, Tier::Landlock] {
            let mut stage = Stage::new(who, tier);
            let shown = stage.path("shown");
            fs::create_dir_all(shown.join("data")).unwrap();
            fs::write(shown.join("program"), "program").unwrap();
            fs::write(shown.join("data/key"), "key").unwrap();
            fs::set_permissions(&shown, fs::Permissions::from_mode(0o755)).unwrap();
            stage.spec.read_only_paths = vec![shown.clone()];
            stage.spec.hidden_paths = vec![shown.join("data")];
            let at = shown.display();
            let output = stage.output(&format!(
                "cat {at}/program; cat {at}/data/key; ls {at}/data; touch {at}/x || echo no write; \
                 chmod 777 {at}/data; ls {at}/data"
            ));
            assert!(output.starts_with("program"), "{who:?} {tier:?}: {output}");
            let lines: Vec<&str> =
                output.lines().map(|l| l.trim_start_matches("program")).collect();
            assert!(!lines.contains(&"key"), "{who:?} {tier:?}: {output}");
            assert!(output.contains("no write"), "{who:?} {tier:?}: {output}");
        }
    }
}

#[test]
fn a_spec_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path: &Path = &dir.path().join("spec.json");
    fs::write(path, "{}").unwrap();
    let output = Command::new(RUNNER).arg("launch").arg(path).output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(EXIT_REFUSED)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("can't read the spec"));
}
