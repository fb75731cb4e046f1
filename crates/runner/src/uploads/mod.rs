//! Uploads that can be resumed, by tus 1.0 (core, creation, creation-with-upload, expiration,
//! termination).
//!
//! | file | what |
//! |---|---|
//! | `record`, `metadata` (pure) | what is known of an upload; what a client says of it |
//! | `requests` | the requests |
//!
//! What came lies beside the file that it becomes, so that the end is one rename; the record lies in
//! the state folder, so that a later runner goes on. Whether the file may be replaced is looked at when
//! the upload is made and again at its end: refused then, what came stays, and an empty `PATCH` with
//! `If-Match` or `X-Force` tries again.

mod metadata;
mod record;
mod requests;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, SystemTime},
};

use staithe_protocol::files::{FileCode, FileDenied, FileDone};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    time::Instant,
};

use self::record::Record;
pub use self::requests::answer;
use crate::{app::App, files::sweep::Sweep, state};

/// The most uploads that are open at once.
const MOST: usize = 64;
/// The largest record, in bytes.
const MOST_RECORD: u64 = 256 * 1024;
/// One that nothing is heard of for so long is given up.
const KEPT_FOR: Duration = Duration::from_hours(24);
/// How often it is looked for those.
const LOOK: Duration = Duration::from_mins(10);
/// How many of these looks make one at the whole workspace: an hour.
const LOOKS_A_SWEEP: u32 = 6;

/// All of them; one per process.
#[derive(Default)]
pub struct Uploads {
    dir: RefCell<PathBuf>,
    open: RefCell<HashMap<String, Rc<Open>>>,
}

/// One of them.
struct Open {
    record: Record,
    /// Held by the request that works on it; a newer one has it give way.
    lock: std::sync::Arc<Mutex<()>>,
    /// The number of the newest request.
    newest: watch::Sender<u64>,
    touched: Cell<Instant>,
    /// Its end, for those who did not hear the answer.
    done: RefCell<Option<FileDone>>,
}

impl Open {
    fn new(record: Record) -> Rc<Self> {
        Rc::new(Self {
            record,
            lock: std::sync::Arc::default(),
            newest: watch::Sender::new(0),
            touched: Cell::new(Instant::now()),
            done: RefCell::default(),
        })
    }

    /// Has whoever works on it stop, and takes it. What comes with it is ready once a newer request
    /// wants it.
    async fn take(&self) -> (OwnedMutexGuard<()>, impl Future<Output = ()> + use<>) {
        self.touched.set(Instant::now());
        let mine = *self.newest.borrow() + 1;
        self.newest.send_replace(mine);
        let mut newest = self.newest.subscribe();
        let held = std::sync::Arc::clone(&self.lock).lock_owned().await;
        let outdone = async move {
            if newest.wait_for(|newest| *newest > mine).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        (held, outdone)
    }

    /// What is left until it is given up.
    fn left(&self) -> Duration {
        KEPT_FOR.saturating_sub(self.touched.get().elapsed())
    }
}

impl Uploads {
    /// Goes on with what an earlier runner left in its state folder.
    pub fn take_up(&self, state_dir: &Path) -> io::Result<()> {
        state_dir.clone_into(&mut self.dir.borrow_mut());
        let mut open = self.open.borrow_mut();
        for entry in std::fs::read_dir(state_dir)? {
            let Ok(entry) = entry else { continue };
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(id) = record::id_of(name) else { continue };
            let text = state::read(&path, MOST_RECORD).ok();
            match text.and_then(|text| serde_json::from_slice(&text).ok()) {
                Some(record) if open.len() < MOST => {
                    open.insert(id.to_owned(), Open::new(record));
                }
                // Half a record is of no use. A command may have put anything else there.
                _ => drop(std::fs::remove_file(&path)),
            }
        }
        Ok(())
    }

    fn get(&self, id: &str) -> Result<Rc<Open>, FileDenied> {
        let open = self.open.borrow().get(id).cloned();
        open.ok_or_else(|| {
            FileDenied::new(FileCode::NotFound, "There is no such upload (any more).")
        })
    }

    /// A new one; its record is on the disk when this returns.
    fn add(&self, id: String, record: Record) -> Result<Rc<Open>, FileDenied> {
        let mut open = self.open.borrow_mut();
        if open.len() >= MOST {
            // Those that are done are only kept for whoever asks again.
            let is_done = |open: &Rc<Open>| open.done.borrow().is_some();
            let done = open.iter().filter(|(_, one)| is_done(one));
            let oldest = done.min_by_key(|(_, one)| one.touched.get()).map(|(id, _)| id.clone());
            match oldest {
                Some(oldest) => open.remove(&oldest),
                None => return Err(too_many()),
            };
        }
        let text = serde_json::to_vec(&record).map_err(|error| kept_not(&error.into()))?;
        state::write(&self.file(&id), &text).map_err(|error| kept_not(&error))?;
        let new = Open::new(record);
        open.insert(id, Rc::clone(&new));
        Ok(new)
    }

    /// Whether one more finds room.
    fn has_room(&self) -> Result<(), FileDenied> {
        let open = self.open.borrow();
        let under_way = open.values().filter(|one| one.done.borrow().is_none()).count();
        if under_way < MOST { Ok(()) } else { Err(too_many()) }
    }

    /// It is in place.
    fn finished(&self, id: &str, open: &Open, done: FileDone) {
        drop(std::fs::remove_file(self.file(id)));
        *open.done.borrow_mut() = Some(done);
    }

    /// It is known no longer. What came of it, someone else removes.
    fn forget(&self, id: &str) {
        drop(std::fs::remove_file(self.file(id)));
        self.open.borrow_mut().remove(id);
    }

    fn file(&self, id: &str) -> PathBuf {
        self.dir.borrow().join(record::name_of(id))
    }
}

fn too_many() -> FileDenied {
    FileDenied::new(FileCode::RateLimited, format!("{MOST} uploads are under way already."))
}

fn kept_not(error: &io::Error) -> FileDenied {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FileCode::NoSpace,
        _ => FileCode::Internal,
    };
    FileDenied::new(code, format!("The upload can't be kept: {error}."))
}

/// Gives up, for ever, what nothing is heard of, and removes what killed runners left in the workspace.
pub async fn expire(app: Rc<App>) {
    let mut looks = tokio::time::interval(LOOK);
    let began = SystemTime::now();
    for look in 0_u32.. {
        looks.tick().await;
        if look.is_multiple_of(LOOKS_A_SWEEP) {
            sweep(&app, began).await;
        }
        let open: Vec<_> = app.uploads.open.borrow().clone().into_iter().collect();
        for (id, open) in open {
            if open.left().is_zero() && open.lock.try_lock().is_ok() {
                requests::remove(&app, &id, &open).await;
            }
        }
    }
}

/// Removes temporary files of runners that were killed. Another runner may have the same workspace and
/// uploads of its own there, so what could still be one of those stays; ours are younger than we.
async fn sweep(app: &App, began: SystemTime) {
    let before = SystemTime::now().checked_sub(KEPT_FOR).map_or(began, |before| before.min(began));
    let before = before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let temporary = |open: &Rc<Open>| open.record.temporary.clone();
    let kept = app.uploads.open.borrow().values().map(temporary).collect();
    app.on_files(move |files| files.sweep(&Sweep { before, kept })).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_put_in_place_of_a_record_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let at = |digit: &str| dir.path().join(record::name_of(&digit.repeat(32)));
        let record = r#"{"wanted":{"path":"a","if_match":null,"force":false,"mode":null,"create_parents":false},"path":"a","temporary":"t","length":1,"origin":null}"#;
        std::fs::write(at("1"), record).unwrap();
        std::fs::write(at("2"), &record[1..]).unwrap();
        std::fs::create_dir(at("3")).unwrap();
        let (uploads, mode) = (Uploads::default(), rustix::fs::Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, at("4"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        uploads.take_up(dir.path()).unwrap();
        assert_eq!(uploads.open.borrow().keys().collect::<Vec<_>>(), [&"1".repeat(32)]);
        assert_eq!(
            ["1", "2", "3", "4"].map(|digit| at(digit).exists()),
            [true, false, true, false]
        );
    }
}
