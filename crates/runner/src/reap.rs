//! Waits for every child: the shells that somebody asks about, and, as process 1, every orphan.

use std::{cell::RefCell, collections::HashMap, io, rc::Rc};

use rustix::process::{Pid, WaitOptions, WaitStatus, getpid, wait};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::spawn_local,
};

/// Tells who asked how a child ended. Nothing else in this program waits for children.
#[derive(Default)]
pub struct Reaper {
    asked: RefCell<HashMap<Pid, oneshot::Sender<i64>>>,
    asked_whole: RefCell<HashMap<Pid, oneshot::Sender<WaitStatus>>>,
}

impl Reaper {
    /// Begins to reap.
    pub fn start() -> io::Result<Rc<Self>> {
        let reaper = Rc::new(Self::default());
        let mut children = signal(SignalKind::child())?;
        spawn_local({
            let reaper = Rc::clone(&reaper);
            async move {
                reaper.reap(); // what ended before there was a signal for it
                while children.recv().await.is_some() {
                    reaper.reap();
                }
            }
        });
        Ok(reaper)
    }

    /// The exit code of a child, once it ends: 128 and the signal if one ended it. To be called
    /// before anything is awaited after the spawn.
    pub fn exit_of(&self, child: Pid) -> oneshot::Receiver<i64> {
        let (tell, told) = oneshot::channel();
        self.asked.borrow_mut().insert(child, tell);
        told
    }

    /// The same, told whole.
    pub fn end_of(&self, child: Pid) -> oneshot::Receiver<WaitStatus> {
        let (tell, told) = oneshot::channel();
        self.asked_whole.borrow_mut().insert(child, tell);
        told
    }

    fn reap(&self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(tell) = self.asked_whole.borrow_mut().remove(&pid) {
                tell.send(status).ok(); // who asked may have gone
            }
            if let Some(tell) = self.asked.borrow_mut().remove(&pid) {
                tell.send(code(status)).ok(); // who asked may have gone
            }
        }
    }
}

/// What `/proc` says of a process.
struct Kin {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
}

fn processes() -> impl Iterator<Item = Kin> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // `pid (name) state parent group session …`, where the name may contain anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
        let mut next = || fields.next()?.parse().ok();
        Some(Kin { pid, parent: next()?, group: next()?, session: next()? })
    })
}

/// The processes of these groups in the session of this leader.
pub fn session_of(leader: Pid, groups: &[Pid]) -> Vec<Pid> {
    let raw = |pid: Pid| pid.as_raw_nonzero().get();
    let groups: Vec<i32> = groups.iter().copied().map(raw).collect();
    let is_one = |kin: &Kin| kin.session == raw(leader) && groups.contains(&kin.group);
    processes().filter(is_one).filter_map(|kin| Pid::from_raw(kin.pid)).collect()
}

/// Every process below this one.
pub fn descendants() -> Vec<Pid> {
    below(getpid())
}

/// Every process below that one.
pub fn below(top: Pid) -> Vec<Pid> {
    let parents: HashMap<i32, i32> = processes().map(|kin| (kin.pid, kin.parent)).collect();
    let top = top.as_raw_nonzero().get();
    let is_below = |pid: i32| {
        let line = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
        line.skip(1).take(parents.len()).any(|ancestor| ancestor == top)
    };
    parents.keys().filter(|pid| is_below(**pid)).filter_map(|pid| Pid::from_raw(*pid)).collect()
}

/// As shells say it: 128 and the signal if one ended it.
pub fn code(status: WaitStatus) -> i64 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code.into(),
        (None, Some(signal)) => 128 + i64::from(signal),
        (None, None) => -1,
    }
}
