//! Ways out of a sandbox, tried as root inside it with the shipped settings: each is shown to be shut.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

use std::{os::unix::fs::symlink, process::Command, time::Duration};

use staithe_engine::{
    Engine, Line,
    docker::{LineChoice, SandboxShape},
};
use staithe_link::{Address, Link, LinkEvent};
use tokio::time::{Instant, timeout};

use docker_stage::{BASE, LONG, Stage, docker, runner, shape};

#[expect(dead_code, reason = "each test program uses a part of it")]
mod docker_stage;

/// What is tried, and the words that show that it was refused (not merely that a tool was missing).
/// A command that gets through prints ESCAPED.
const ATTEMPTS: &[(&str, &str, &str)] = &[
    ("mount a file system", "mount -t tmpfs x /mnt && echo ESCAPED", "permission denied"),
    (
        "mount the cgroups, for a release agent",
        "mkdir /tmp/c; mount -t cgroup -o rdma x /tmp/c && echo ESCAPED",
        "permission denied",
    ),
    ("make a disk's device", "mknod /tmp/disk b 254 0 && echo ESCAPED", "Operation not permitted"),
    ("make the memory's device", "mknod /tmp/mem c 1 1 && echo ESCAPED", "Operation not permitted"),
    (
        "a user namespace with all rights",
        "unshare -Urm true && echo ESCAPED",
        "Operation not permitted",
    ),
    ("a mount namespace", "unshare -m true && echo ESCAPED", "Operation not permitted"),
    (
        "enter process 1's namespaces",
        "nsenter -t 1 -m -n -p true && echo ESCAPED",
        "Permission denied",
    ),
    ("another root", "chroot /workspace /bin/true && echo ESCAPED", "Operation not permitted"),
    ("another clock", "date -s '2001-01-01' >/dev/null && echo ESCAPED", "Operation not permitted"),
    (
        "another host name",
        "perl -e '$n=\"x\"; syscall(170,$n,1)==0 and print \"ESCAPED\"; print $!'",
        "Operation not permitted",
    ),
    (
        "a raw socket",
        "perl -MSocket -e 'socket(S,AF_INET,SOCK_RAW,1) and print \"ESCAPED\"; print $!'",
        "Operation not permitted",
    ),
    (
        "a packet socket",
        "perl -e 'socket(S,17,3,768) and print \"ESCAPED\"; print $!'",
        "Operation not permitted",
    ),
    (
        "a program for the kernel (bpf)",
        "perl -e 'syscall(321,5,0,0)==-1 or print \"ESCAPED\"; print $!'",
        "Operation not permitted",
    ),
    (
        "a kernel module",
        "perl -e '$n=\"\"; syscall(175,0,0,$n)==-1 or print \"ESCAPED\"; print $!'",
        "Operation not permitted",
    ),
    (
        "another kernel (kexec)",
        "perl -e 'syscall(246,0,0,0,0)==-1 or print \"ESCAPED\"; print $!'",
        "Operation not permitted",
    ),
    ("the kernel's log", "dmesg && echo ESCAPED", "Operation not permitted"),
    (
        "kernel keys (keyctl)",
        "perl -e 'syscall(250,0,-3,1)==-1 or print \"ESCAPED\"; print $!'",
        "Operation not permitted",
    ),
    (
        "open by handle",
        "perl -e 'syscall(304,-100,0,0)==-1 or print \"ESCAPED\"; print $!'",
        "Operation not permitted",
    ),
    (
        "where the kernel runs programs (core_pattern)",
        "echo '|/tmp/x' > /proc/sys/kernel/core_pattern && echo ESCAPED",
        "Read-only file system",
    ),
    (
        "what the machine does in a panic",
        "echo 1 > /proc/sys/kernel/panic && echo ESCAPED",
        "Read-only file system",
    ),
    (
        "the kernel's settings (sysfs)",
        "echo /tmp/x > /sys/kernel/uevent_helper && echo ESCAPED",
        "Read-only file system",
    ),
    (
        "routing for others",
        "echo 1 > /proc/sys/net/ipv4/ip_forward && echo ESCAPED",
        "Read-only file system",
    ),
    (
        "the kernel's memory",
        "head -c 1 /proc/kcore | wc -c; [ $(head -c 1 /proc/kcore | wc -c) = 0 ] || echo ESCAPED",
        "0",
    ),
    ("the runner's memory", "head -c 1 /proc/1/mem && echo ESCAPED", "Permission denied"),
    ("the runner's environment", "cat /proc/1/environ && echo ESCAPED", "Permission denied"),
    (
        "the runner's open files",
        "cat /proc/1/fd/3 && echo ESCAPED; readlink /proc/1/fd/3 && echo ESCAPED",
        "Permission denied",
    ),
    (
        "the runner's program, by its process",
        "cat /bin/true > /proc/1/exe && echo ESCAPED",
        "Permission denied",
    ),
    (
        "the runner's program, by its file",
        "echo x > /.staithe/bin/staithe-runner && echo ESCAPED",
        "Read-only file system",
    ),
    (
        "the runner's program, by its name",
        "mv /.staithe/bin/staithe-runner /tmp/r && echo ESCAPED",
        "busy",
    ),
    (
        "rights by a setuid program",
        "cp /bin/bash /tmp/sb; chmod 4755 /tmp/sb; setpriv --reuid 65534 --regid 65534 --clear-groups /tmp/sb -p -c 'id -u; [ $EUID = 0 ] && echo ESCAPED'",
        "65534",
    ),
    (
        "the engine's socket",
        "ls /var/run/docker.sock /run/docker.sock /run/staithe-docker.sock && echo ESCAPED",
        "No such file or directory",
    ),
    (
        "the machine's disks",
        "ls /dev/vda /dev/sda /dev/nvme0n1 && echo ESCAPED",
        "No such file or directory",
    ),
    (
        "another runner's socket",
        "find / -xdev -name runner.sock; find /.staithe -name runner.sock | wc -l",
        "1",
    ),
    ("what lies above the shared folder", "ls /.staithe/run/../../.staithe/run", "runner.sock"),
    (
        "more rights than were given",
        "grep CapBnd /proc/self/status; grep -q 'CapBnd:.00000000000004fb$' /proc/self/status || echo ESCAPED",
        "00000000000004fb",
    ),
    (
        "new rights at all",
        "grep NoNewPrivs /proc/self/status; grep -q 'NoNewPrivs:.0' /proc/self/status && echo ESCAPED",
        "1",
    ),
    (
        "calls that no filter looks at",
        "grep Seccomp: /proc/self/status; grep -q 'Seccomp:.2' /proc/self/status || echo ESCAPED",
        "2",
    ),
    (
        "the runner without its key",
        "perl -MIO::Socket::UNIX -e '$s=IO::Socket::UNIX->new(\"/.staithe/run/runner.sock\") or die $!; print $s \"POST /execute_action HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n\\r\\n{}\"; print scalar <$s>'",
        " 403 ",
    ),
];

#[tokio::test]
async fn every_way_out_is_shut() {
    assert!(ATTEMPTS.len() >= 25);
    let stage = Stage::new();
    let engine = stage.engine().await;
    let (_, mut attacker) = stage.start(&engine, &stage.spec(BASE)).await;
    let mut open = Vec::new();
    for (what, command, refusal) in ATTEMPTS {
        let told = attacker.says(&format!("({command}) 2>&1")).await;
        if told.contains("ESCAPED") || !told.contains(refusal) {
            open.push(format!("{what}: {told}"));
        }
    }
    assert!(open.is_empty(), "{open:#?}");
    assert_eq!(attacker.says("echo still here").await, "still here");
}

#[tokio::test]
async fn another_session_is_neither_seen_nor_reached() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let (victim_spec, attacker_spec) = (stage.spec(BASE), stage.spec(BASE));
    let (_, mut victim) = stage.start(&engine, &victim_spec).await;
    let (_, mut attacker) = stage.start(&engine, &attacker_spec).await;
    victim.says("echo treasure-of-the-victim > treasure; cp treasure /tmp").await;
    let serve = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>8000,ReuseAddr=>1) or die $!; while($c=$s->accept){print $c \"secret\\n\"; close $c}' >/dev/null 2>&1 & sleep 98765 >/dev/null 2>&1 &";
    victim.says(serve).await;
    let address = victim.says("hostname -I | cut -d' ' -f1").await;
    let knock = format!("timeout 3 bash -c 'cat < /dev/tcp/{address}/8000' 2>&1; echo \"code $?\"");
    let until = Instant::now() + LONG;
    while !victim.says(&knock).await.contains("secret") {
        assert!(Instant::now() < until, "the victim's own server does not answer");
    }
    let told = attacker.says(&knock).await;
    assert!(!told.contains("secret") && !told.contains("code 0"), "{told}");
    let told = attacker.says("grep -l '9876[5]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l").await;
    assert_eq!(told, "0", "its processes");
    let told = attacker
        .says("grep -rsl treasure-of-the-victim /tmp /workspace /run /var /.staithe/run | wc -l")
        .await;
    assert_eq!(told, "0", "its files");
    // Not through the addresses of the engine's network either.
    let gateway = "gw=$(awk '$2==\"00000000\"{print $3}' /proc/net/route); printf '%d.%d.%d.%d' 0x${gw:6:2} 0x${gw:4:2} 0x${gw:2:2} 0x${gw:0:2}";
    let gateway = attacker.says(gateway).await;
    let told = attacker
        .says(&format!("timeout 3 bash -c 'cat < /dev/tcp/{gateway}/8000' 2>&1; echo \"code $?\""))
        .await;
    assert!(!told.contains("secret"), "{told}");
}

#[tokio::test]
async fn a_fork_bomb_stays_in_its_sandbox() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let (bomb_spec, other_spec) = (stage.spec(BASE), stage.spec(BASE));
    let (bomb, mut bomber) = stage.start(&engine, &bomb_spec).await;
    let (_, mut other) = stage.start(&engine, &other_spec).await;
    let bombing = bomber.says("f() { f | f & }; f; sleep 2; echo done");
    drop(timeout(Duration::from_secs(4), bombing).await);
    let stats = engine.stats(&bomb).await.unwrap();
    assert!(stats.processes <= 200, "{stats:?}");
    let asked = Instant::now();
    assert_eq!(other.says("echo still here").await, "still here");
    assert!(asked.elapsed() < LONG);
    engine.remove(&bomb, true).await.unwrap();
}

#[tokio::test]
async fn a_memory_bomb_ends_itself_alone() {
    let mut stage = Stage::new();
    stage.shape = SandboxShape { memory: 96 << 20, ..shape() };
    let engine = stage.engine().await;
    let (bomb_spec, other_spec) = (stage.spec(BASE), stage.spec(BASE));
    let (bomb, mut bomber) = stage.start(&engine, &bomb_spec).await;
    let (_, mut other) = stage.start(&engine, &other_spec).await;
    let told = bomber.run("perl -e '$x = \"a\" x (1 << 29); print length $x'").await;
    assert_eq!(told.exit_code, 137, "{told:?}");
    assert_eq!(other.says("echo still here").await, "still here");
    let told =
        bomber.says("head -c 200M /dev/zero > /dev/shm/x; ls -s /dev/shm/x | cut -d' ' -f1").await;
    let kib: u64 = told.lines().last().unwrap().parse().unwrap();
    assert!(kib <= 64 << 10, "shared memory is limited: {told}");
    engine.remove(&bomb, true).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_the_sandbox_s_own() {
    let disk = SmallDisk::new();
    let mut stage = Stage::new();
    stage.line = LineChoice::Exec;
    stage.shape = SandboxShape {
        read_only_rootfs: true,
        workspace_mount: Some(disk.path().to_owned()),
        ..shape()
    };
    let engine = stage.engine().await;
    let (id, mut filler) = stage.start(&engine, &stage.spec(BASE)).await;
    for folder in ["/workspace", "/.staithe/run"] {
        let told = filler
            .says(&format!(
                "(head -c 600M /dev/zero > {folder}/x) 2>&1; sync; du -m {folder}/x | cut -f1"
            ))
            .await;
        let mib: u64 = told.lines().last().unwrap().parse().unwrap();
        assert!(mib <= 20, "{folder}: {told}");
        assert!(
            told.contains("No space left") || told.contains("Permission denied"),
            "{folder}: {told}"
        );
    }
    for folder in ["/", "/usr", "/etc", "/var", "/opt", "/home"] {
        let told = filler.says(&format!("touch {folder}/x 2>&1")).await;
        assert!(told.contains("Read-only file system"), "{folder}: {told}");
    }
    assert_eq!(filler.says("echo still here").await, "still here", "the runner goes on");
    engine.remove(&id, true).await.unwrap();
}

/// A sandbox may put anything in the folder that it shares with the server.
#[tokio::test]
async fn the_server_follows_no_link_out_of_the_shared_folder() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    let (id, mut attacker) = stage.start(&engine, &spec).await;
    let listener = stage.dir.path().join("other.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&listener).unwrap();
    let Line::Unix(path) = engine.line(&id).await.unwrap() else { panic!("no socket") };
    attacker
        .says(&format!(
            "rm /.staithe/run/runner.sock; ln -s {} /.staithe/run/runner.sock",
            listener.display()
        ))
        .await;
    assert!(path.is_symlink());
    let (_link, mut events) = Link::open(Address::Unix(path.clone()), &spec.key);
    let word = timeout(Duration::from_secs(1), events.recv()).await;
    assert!(!matches!(word, Ok(Some(LinkEvent::Up(_)))), "{word:?}");
    // Nor does removing it take what a link points to.
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("kept"), "").unwrap();
    symlink(outside.path(), path.parent().unwrap().join("out")).unwrap();
    engine.remove(&id, true).await.unwrap();
    assert!(outside.path().join("kept").exists());
}

#[tokio::test]
async fn whoever_is_not_root_has_no_capability_at_all() {
    let mut stage = Stage::new();
    stage.shape = SandboxShape { user: "4711:4712".into(), ..shape() };
    let engine = stage.engine().await;
    let (id, mut talk) = stage.start(&engine, &stage.spec(BASE)).await;
    assert_eq!(talk.says("id -u; id -g; id -G").await, "4711\n4712\n4712");
    let sets =
        talk.says("grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status | cut -f2 | sort -u").await;
    assert_eq!(sets, "0000000000000000");
    let told = talk.says("touch /etc/x 2>&1; head -c 1 /proc/1/mem 2>&1; kill -9 1; echo mine > /workspace/x && cat /workspace/x").await;
    assert_eq!(told.matches("Permission denied").count(), 2, "{told}");
    assert!(told.ends_with("mine"), "{told}");
    let top = docker(&["top", &id.0, "-o", "uid"]);
    assert!(top.lines().skip(1).all(|uid| uid.trim() == "4711"), "nothing runs as root: {top}");
    assert!(runner().is_file());
}

/// A file system of 16 MiB on this machine.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "small", disk.path()])
            .status();
        assert!(
            mounted.unwrap().success(),
            "this test makes a small disk, and must be run as root"
        );
        disk
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-l", self.path()]).status());
    }
}
