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

    fn reap(&self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(tell) = self.asked.borrow_mut().remove(&pid) {
                tell.send(code(status)).ok(); // who asked may have gone
            }
        }
    }
}

/// Every process below this one.
pub fn descendants() -> Vec<Pid> {
    below(getpid())
}

/// Every process below that one.
pub fn below(top: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: HashMap<i32, i32> = entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent …`, where the name may contain anything.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let top = top.as_raw_nonzero().get();
    let is_below = |pid: i32| {
        let line = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
        line.skip(1).take(parents.len()).any(|ancestor| ancestor == top)
    };
    parents.keys().filter(|pid| is_below(**pid)).filter_map(|pid| Pid::from_raw(*pid)).collect()
}

fn code(status: WaitStatus) -> i64 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code.into(),
        (None, Some(signal)) => 128 + i64::from(signal),
        (None, None) => -1,
    }
}
