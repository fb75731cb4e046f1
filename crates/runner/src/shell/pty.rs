//! A pseudo-terminal of our own.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::Pid,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{
        ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector,
        SpecialCodeIndex, Winsize, tcflush, tcgetattr, tcgetpgrp, tcsetattr, tcsetwinsize,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

/// Rows and columns until somebody says otherwise.
const SIZE: Winsize = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

/// Our end of one.
pub struct Master(AsyncFd<OwnedFd>);

/// Both ends. The slave stays open here to set its modes whatever the shell does.
pub struct Pty {
    master: Master,
    slave: OwnedFd,
}

/// A new one, with the kernel's modes: our end and the other.
pub fn pair(size: Winsize) -> io::Result<(Master, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    tcsetwinsize(&slave, size)?;
    rustix::io::ioctl_fionbio(&master, true)?;
    #[expect(
        deprecated,
        reason = "an OwnedFd keeps its number for life, and `register` needs unsafe"
    )]
    let master = AsyncFd::new(master)?;
    Ok((Master(master), slave))
}

impl Pty {
    /// A new one, with sane modes.
    pub fn open() -> io::Result<Self> {
        let (master, slave) = pair(SIZE)?;
        let pty = Self { master, slave };
        pty.make_sane()?;
        Ok(pty)
    }

    /// The slave, for a child's stdin, stdout or stderr.
    pub fn slave(&self) -> io::Result<OwnedFd> {
        self.slave.try_clone()
    }

    /// Sets the modes that we count on, whatever a program left: lines, signals, no echo, and output
    /// exactly as printed (no CR before LF).
    pub fn make_sane(&self) -> io::Result<()> {
        let mut modes = tcgetattr(&self.slave)?;
        modes.input_modes = InputModes::ICRNL | InputModes::IUTF8;
        modes.output_modes = OutputModes::empty();
        modes.control_modes |= ControlModes::CS8 | ControlModes::CREAD;
        modes.local_modes = LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        for (code, byte) in [
            (SpecialCodeIndex::VINTR, 3),
            (SpecialCodeIndex::VQUIT, 28),
            (SpecialCodeIndex::VERASE, 127),
            (SpecialCodeIndex::VKILL, 21),
            (SpecialCodeIndex::VEOF, 4),
            (SpecialCodeIndex::VSUSP, 26),
            (SpecialCodeIndex::VLNEXT, 22),
            (SpecialCodeIndex::VWERASE, 23),
            (SpecialCodeIndex::VREPRINT, 18),
            (SpecialCodeIndex::VEOL, 0),
            (SpecialCodeIndex::VEOL2, 0),
            (SpecialCodeIndex::VMIN, 1),
            (SpecialCodeIndex::VTIME, 0),
        ] {
            modes.special_codes[code] = byte;
        }
        Ok(tcsetattr(&self.slave, OptionalActions::Now, &modes)?)
    }

    /// Whether there is input that nobody has read. `poll` waits for what was written and is still on its way through
    /// the kernel (`tty_buffer_flush_work`); `FIONREAD` does not.
    pub fn has_input(&self) -> bool {
        let mut slave = [PollFd::new(&self.slave, PollFlags::IN)];
        poll(&mut slave, Some(&Timespec::default()))
            .is_ok_and(|_| slave[0].revents().contains(PollFlags::IN))
    }

    /// Throws away input that nobody has read.
    pub fn flush_input(&self) {
        tcflush(&self.slave, QueueSelector::IFlush).ok();
    }

    /// Whether input goes to programs line by line.
    pub fn is_line_mode(&self) -> bool {
        tcgetattr(&self.slave).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
    }
}

impl std::ops::Deref for Pty {
    type Target = Master;

    fn deref(&self) -> &Master {
        &self.master
    }
}

impl Master {
    /// The process group in the foreground.
    pub fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(self.0.get_ref()).ok()
    }

    /// Waits until there may be output.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await?.retain_ready();
        Ok(())
    }

    /// Waits until input may be written.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable().await?.retain_ready();
        Ok(())
    }

    /// Reads until the buffer is full or nothing is there. `Err` is the end.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self.0.try_io(Interest::READABLE, |fd| {
                Ok(rustix::io::read(fd.as_fd(), &mut buffer[filled..])?)
            });
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if filled > 0 => break, // it will say so again
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Writes what there is room for.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd.as_fd(), bytes)?))
    }

    /// Another size: programs in the foreground get SIGWINCH when it is another one.
    pub fn resize(&self, size: Winsize) -> io::Result<()> {
        Ok(tcsetwinsize(self.0.get_ref(), size)?)
    }
}
