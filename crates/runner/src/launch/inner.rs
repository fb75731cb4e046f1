//! Stage 2: builds the root, gives up everything, becomes the runner.

use std::{
    convert::Infallible,
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::Mode,
    process::{self, Signal},
    thread,
};

use super::{
    At, LaunchFailed, Network, Spec, TRY, Tier, TierReport, drop, fence::Fence, loopback, root,
    seccomp,
};

/// The command search path of a sandbox.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What stage 1 asks for.
pub(super) struct Order {
    tier: Tier,
    parent: u32,
    spec: PathBuf,
    rehearsal: bool,
}

impl Order {
    /// Reads the last four of the arguments.
    pub(super) fn parse(args: &[OsString]) -> Option<Self> {
        let [.., tier, parent, spec, mode] = args else { return None };
        Some(Self {
            tier: tier.to_str().and_then(Tier::parse)?,
            parent: parent.to_str()?.parse().ok()?,
            spec: spec.into(),
            rehearsal: mode == TRY,
        })
    }
}

/// The sandbox's directories, in the names that hold in there.
struct Places {
    runner: PathBuf,
    workspace: PathBuf,
    run_dir: PathBuf,
}

/// Carries the order out. Returns when it was a rehearsal or a probe.
pub(super) fn run(order: &Order) -> Result<(), LaunchFailed> {
    process::set_parent_process_death_signal(Some(Signal::KILL)).at("be tied to stage 1")?;
    if !is_alive(order.parent) {
        return Err(LaunchFailed::Lacking("stage 1 is gone"));
    }
    drop::close_on_exec().at("close inherited files")?;
    process::umask(Mode::from_raw_mode(0o022));
    let spec = Spec::read(&order.spec)?;
    let report = if order.rehearsal { None } else { Some(create_report(&spec)?) };
    let is_root = is_root_outside().at("read the user map")?;

    let (places, reached) = confine(&spec, order.tier, is_root)?;
    if let Some(report) = report {
        write_report(report, &reached).at("write the tier report")?;
    }
    if order.rehearsal || spec.probe {
        return Ok(());
    }
    match become_runner(&spec, &places).at("run the runner")? {}
}

/// Whether stage 1 lives: had it died before it was tied to this process, no signal would come.
fn is_alive(parent: u32) -> bool {
    fs::read_to_string(format!("/proc/{parent}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with(['Z', 'X'])))
        .unwrap_or(false)
}

/// Opened while the host's files are still in sight, written when all stands.
fn create_report(spec: &Spec) -> Result<File, LaunchFailed> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&spec.tier_report)
        .at("open the tier report")
}

fn write_report(mut file: File, reached: &TierReport) -> io::Result<()> {
    file.write_all(&serde_json::to_vec(reached)?)
}

/// Whether this process's user is the host's root, whatever it is called in here.
fn is_root_outside() -> io::Result<bool> {
    let map = fs::read_to_string("/proc/self/uid_map")?;
    let me = u64::from(process::geteuid().as_raw());
    Ok(map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(|n| n.parse::<u64>().unwrap_or(0));
        let (inside, outside) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let length = numbers.next().unwrap_or(0);
        (inside..inside.saturating_add(length)).contains(&me) && outside + (me - inside) == 0
    }))
}

/// Puts all walls of the tier up around this process.
fn confine(spec: &Spec, tier: Tier, is_root: bool) -> Result<(Places, TierReport), LaunchFailed> {
    let runner = env::current_exe().at("find the runner")?;
    let mut pids_limited = false;
    let places = if tier == Tier::Namespaces {
        rustix::system::sethostname(spec.hostname.as_bytes()).at("set the host name")?;
        if spec.network == Network::None {
            loopback::up().at("raise the loopback interface")?;
        }
        pids_limited = root::build(spec, &runner)?;
        Places {
            runner: root::RUNNER.into(),
            workspace: root::WORKSPACE.into(),
            run_dir: root::RUN_DIR.into(),
        }
    } else {
        fs::create_dir_all(spec.run_dir.join("tmp")).at("make a directory for temporary files")?;
        Places { runner, workspace: spec.workspace.clone(), run_dir: spec.run_dir.clone() }
    };
    drop::limits(spec, tier).at("set the limits")?;
    drop::capabilities().at("drop the capabilities")?;
    thread::set_no_new_privs(true).at("give up new privileges")?;
    process::chdir(&places.workspace).at("enter the workspace")?;

    let landlock_abi = match tier {
        Tier::Namespaces => Fence::own_root().apply().unwrap_or(0),
        Tier::None | Tier::Auto => 0,
        Tier::Landlock => {
            match Fence::host_root(spec, &places.runner).apply().at("apply Landlock")? {
                0 => return Err(LaunchFailed::Lacking("this kernel has no Landlock")),
                abi => abi,
            }
        }
    };
    // Without namespaces the filter is the only thing between a sandbox and the network.
    let sockets = tier == Tier::Namespaces || spec.network == Network::Host;
    let filtered = seccomp::apply(sockets);
    if tier != Tier::None || !sockets {
        filtered.as_ref().map_err(|e| io::Error::other(e.to_string())).at("apply seccomp")?;
    }
    let reached = TierReport {
        tier,
        landlock_abi,
        seccomp: filtered.is_ok(),
        network: spec.network,
        // The kernel counts processes per user and user namespace, and never counts root's.
        pids_limited: pids_limited || (tier == Tier::Namespaces && !is_root),
        root: is_root,
    };
    Ok((places, reached))
}

/// Replaces this program. Returns only when it can't.
fn become_runner(spec: &Spec, places: &Places) -> io::Result<Infallible> {
    let mut command = match spec.command.as_deref() {
        Some([program, arguments @ ..]) => {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
        Some([]) => return Err(io::ErrorKind::InvalidInput.into()),
        None => serve(places),
    };
    command.env_clear().envs(environment(&places.workspace));
    if places.run_dir != Path::new(root::RUN_DIR) {
        command.env("TMPDIR", places.run_dir.join("tmp"));
    }
    Err(command.envs(&spec.env).current_dir(&places.workspace).exec())
}

/// The runner's own command line.
fn serve(places: &Places) -> Command {
    let mut command = Command::new(&places.runner);
    command.arg("serve").arg("--socket-dir").arg(&places.run_dir);
    command.arg("--workspace").arg(&places.workspace);
    command.arg("--state-dir").arg(places.run_dir.join("state")).arg("--key-stdin");
    command
}

/// What every sandbox has in its environment.
fn environment(home: &Path) -> [(&'static str, OsString); 7] {
    [
        ("HOME", home.into()),
        ("USER", "staithe".into()),
        ("LOGNAME", "staithe".into()),
        ("SHELL", "/bin/bash".into()),
        ("PATH", PATH.into()),
        ("TERM", "xterm-256color".into()),
        ("LANG", "C.UTF-8".into()),
    ]
}
