//! Waits for every child: the shells that somebody asks about, and, as process 1, every orphan.

use std::{cell::RefCell, collections::HashMap, io, rc::Rc};

use rustix::process::{Pid, WaitOptions, WaitStatus, wait};
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

fn code(status: WaitStatus) -> i64 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code.into(),
        (None, Some(signal)) => 128 + i64::from(signal),
        (None, None) => -1,
    }
}
