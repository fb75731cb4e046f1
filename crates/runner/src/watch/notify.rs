//! The kernel's word of changes: inotify.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

/// Bytes of events that are read at a time.
const BUFFER: usize = 16 * 1024;

/// One instance; its watches go with it.
pub struct Notify {
    fd: Arc<OwnedFd>,
}

impl Notify {
    pub fn open() -> Result<Self, Errno> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { fd: Arc::new(fd) })
    }

    /// What becomes readable when something happens.
    pub fn fd(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }

    /// Watches a folder that is open: this very one, wherever it lies.
    pub fn folder(&self, folder: impl AsFd, is_root: bool) -> Result<i32, Errno> {
        let mut flags = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB
            | WatchFlags::EXCL_UNLINK;
        if is_root {
            flags |= WatchFlags::MOVE_SELF;
        }
        self.add(folder, flags)
    }

    /// Watches the folder of a repository for another `HEAD`.
    pub fn repository(&self, folder: impl AsFd) -> Result<i32, Errno> {
        self.add(folder, WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::EXCL_UNLINK)
    }

    fn add(&self, folder: impl AsFd, flags: WatchFlags) -> Result<i32, Errno> {
        let path = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
        inotify::add_watch(&*self.fd, path, flags | WatchFlags::ONLYDIR)
    }

    pub fn forget(&self, watch: i32) {
        inotify::remove_watch(&*self.fd, watch).ok(); // its folder may be gone
    }

    /// Reads what has come, at most `most` events. Whether there may be more.
    pub fn read(&self, most: usize, mut take: impl FnMut(Told<'_>)) -> Result<bool, Errno> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(&*self.fd, &mut buffer);
        for read in 0.. {
            if read >= most && reader.is_buffer_empty() {
                return Ok(true);
            }
            match reader.next() {
                Ok(event) => take(Told {
                    watch: event.wd(),
                    what: event.events(),
                    cookie: event.cookie(),
                    name: event.file_name().map(|name| name.to_str().unwrap_or_default()),
                }),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }
}

/// One event.
pub struct Told<'a> {
    pub watch: i32,
    pub what: ReadFlags,
    pub cookie: u32,
    /// None: of the folder itself. Empty: no text, which no client could name.
    pub name: Option<&'a str>,
}
