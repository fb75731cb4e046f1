//! The loop that holds one shell: requests, output, ends and deadlines, one at a time.

mod late;

use std::{collections::VecDeque, path::Path, rc::Rc, time::Duration};

use rustix::process::Signal;
use staithe_protocol::{Observation, action::Run};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Ground, Message, View,
    capture::Capture,
    decide::{Decision, Doing, decide},
    line,
    live::{Happening, Live, Start},
    missed::Missed,
    output::Output,
    program::Dialect,
    running::{Ask, Running, Told, Waiter, most},
    scan::{End, Mark, Piece},
    spool, words,
};

/// Bytes read at once.
const READ: usize = 64 * 1024;
/// What a background job printed between commands is kept up to so many bytes.
const BACKGROUND: usize = 64 * 1024;
/// A new shell that says nothing for so long is given up; so is one that doesn't begin a command.
const SILENCE: Duration = Duration::from_secs(20);
/// Output of a shell that ended is waited for so long; its terminal usually closes at once.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// After an interrupt, a shell in the foreground is asked how things stand.
const ASK_AFTER: Duration = Duration::from_millis(300);
/// How often it is looked for programs that missed an interrupt.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A second interrupt within this time is a stronger one.
const ESCALATE: Duration = Duration::from_secs(5);
/// It is not asked more often than this, whatever looks like a prompt.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Starts that may fail one after the other.
const MOST_FAILURES: u8 = 3;

/// How a command ended that nobody waited for.
struct Untold {
    status: i64,
    text: String,
    total: u64,
    suffix: String,
}

/// The loop's state.
pub(super) struct Task {
    ground: Rc<Ground>,
    view: Rc<View>,
    /// Whether it goes on after its first command.
    lasting: bool,
    done: bool,
    live: Option<Live>,
    failures: u8,
    running: Option<Running>,
    untold: Option<Untold>,
    background: Capture,
    /// What is told before the next command's output.
    notice: String,
    /// Asked before the shell was ready.
    queue: VecDeque<Ask>,
    output: Output,
    buffer: Vec<u8>,
    interrupted: Option<(Instant, u8)>,
}

impl Task {
    pub(super) fn new(ground: Rc<Ground>, view: Rc<View>, lasting: bool) -> Self {
        Self {
            output: Output::new(Rc::clone(&ground.lines), ground.began),
            ground,
            view,
            lasting,
            done: false,
            live: None,
            failures: 0,
            running: None,
            untold: None,
            background: Capture::new(BACKGROUND),
            notice: String::new(),
            queue: VecDeque::new(),
            buffer: vec![0; READ],
            interrupted: None,
        }
    }

    /// Runs until nobody can ask any more, or after one command if the shell isn't lasting.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        self.start_shell();
        while !self.done {
            let deadline = self.deadline();
            let live = self.live.as_mut();
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::Run(ask)) => self.ask(*ask),
                    Some(Message::Interrupt(reply)) => self.interrupt(reply),
                    Some(Message::Configured(reply)) => self.configured(reply),
                    None => self.done = true,
                },
                happening = async {
                    match live {
                        Some(live) => live.happening().await,
                        None => std::future::pending().await,
                    }
                } => self.happened(&happening),
                () = async {
                    match deadline {
                        Some(deadline) => sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
            self.tick(Instant::now());
        }
        if let Some(running) = self.running.take() {
            self.ground.spools.borrow_mut().close(running.spool);
        }
        self.output.switch(None, Instant::now());
    }

    fn start_shell(&mut self) {
        let Some(program) = self.ground.program.as_ref().filter(|_| !self.ground.ending.get())
        else {
            return;
        };
        let mut cwd = self.view.cwd.borrow_mut();
        if !Path::new(cwd.as_str()).is_dir() {
            cwd.clone_from(&self.ground.workspace);
        }
        let configured = self.ground.configured.borrow();
        let start = Start { program, cwd: &cwd, env: &self.ground.env, configured: &configured };
        match Live::start(&start, &self.ground.reaper) {
            Ok(live) => self.live = Some(live),
            Err(error) => {
                let text = words::unusable(&program.path, &error.to_string());
                drop((cwd, configured));
                self.refuse_all(&text);
            }
        }
    }

    fn refuse_all(&mut self, text: &str) {
        for ask in self.queue.drain(..) {
            drop(ask.reply.send(Observation::error(text, words::NO_SHELL_ID)));
        }
        self.done |= !self.lasting;
    }

    /// A shell that nobody has used takes on the new environment by being another one.
    fn configured(&mut self, reply: oneshot::Sender<()>) {
        if self.live.as_ref().is_some_and(|live| !live.used && live.ended.is_none()) {
            self.live = None;
            self.start_shell();
        }
        reply.send(()).ok(); // who asked may have gone
    }

    fn ask(&mut self, ask: Ask) {
        if self.live.is_none() {
            self.failures = 0;
            self.queue.push_back(ask);
            if self.ground.program.is_none() {
                return self.refuse_all(words::NO_SHELL);
            }
            return self.start_shell();
        }
        if !self.live.as_ref().is_some_and(|live| live.ready && live.ended.is_none()) {
            self.queue.push_back(ask);
            return;
        }
        let doing = match (&self.running, &self.untold) {
            (Some(_), _) => Doing::Running,
            (None, Some(_)) => Doing::Untold,
            (None, None) => Doing::Nothing,
        };
        match decide(doing, &ask.run.command, ask.run.is_input) {
            Decision::Start => self.start(ask),
            Decision::Wait => self.wait(ask),
            Decision::Type(text) => self.type_text(ask, text),
            Decision::Key(key) => self.press(ask, key),
            Decision::Tell => self.tell_untold(ask),
            Decision::Busy => {
                let suffix = words::busy(&ask.run.command);
                let told = Told { exit_code: -1, suffix, ..Told::default() };
                let observation = self.observe(&ask.run, String::new(), told);
                drop(ask.reply.send(observation));
            }
            Decision::Refuse(text) => drop(ask.reply.send(Observation::error(text, ""))),
        }
    }

    fn start(&mut self, ask: Ask) {
        let now = Instant::now();
        let mut prefix = std::mem::take(&mut self.notice);
        if let Some(untold) = self.untold.take() {
            prefix.push_str(&words::untold(untold.status));
            prefix.push_str(&untold.text);
        }
        let background = self.background.take(true, BACKGROUND);
        if !background.is_empty() {
            prefix.push_str(words::BACKGROUND);
            prefix.push_str(&background);
        }
        let spool = self.ground.spools.borrow_mut().open(&ask.key);
        self.running = Some(Running {
            key: ask.key.clone(),
            began: false,
            capture: Capture::new(most(&ask.limits)),
            total: 0,
            unread: 0,
            spool,
            waiters: Vec::new(),
            started: now,
            last_output: now,
            key_sent: None,
            asked: None,
            ask_at: None,
            questions: 0,
            missed: None,
            early: false,
        });
        self.view.busy.set(true);
        self.interrupted = None;
        let typed = self.type_command(&ask.run.command);
        let waiter = Waiter::new(ask, prefix, now);
        if let Some(running) = &mut self.running {
            running.waiters.push(waiter);
        }
        if let Err(error) = typed {
            self.tell_end(-1, &format!("[The command could not be started: {error}]"));
        }
    }

    fn type_command(&mut self, command: &str) -> std::io::Result<()> {
        let Some(live) = &mut self.live else { return Ok(()) };
        live.used = true;
        live.renew_nonces()?;
        live.pty.make_sane()?;
        let traced = live.flags.contains(['x', 'v']);
        let name = format!("command-{}", live.pid);
        let file = self.ground.state_dir.join(name);
        let text = live.dialect.file(command, &live.nonces, live.status, traced);
        crate::state::write(&file, text.as_ref())?;
        live.type_command(&file.to_string_lossy(), traced);
        Ok(())
    }

    fn wait(&mut self, ask: Ask) {
        if let Some(running) = &mut self.running {
            running.waiters.push(Waiter::new(ask, words::GOES_ON.to_owned(), Instant::now()));
        }
    }

    fn type_text(&mut self, ask: Ask, mut text: String) {
        let Some(live) = &mut self.live else { return };
        let by_lines = live.pty.is_line_mode();
        text.push(if by_lines { '\n' } else { '\r' });
        let longest = text.split('\n').map(str::len).max().unwrap_or(0);
        let trouble = if by_lines && longest >= line::LONGEST_LINE {
            Some("ERROR: A terminal's line has at most 4094 bytes. Nothing was typed.")
        } else if !live.type_in(text.as_bytes()) {
            Some("ERROR: The program does not read its input. Nothing was typed.")
        } else {
            None
        };
        match trouble {
            Some(trouble) => drop(ask.reply.send(Observation::error(trouble, ""))),
            None => self.wait(ask),
        }
    }

    fn press(&mut self, ask: Ask, key: u8) {
        let level = if key == 3 { self.interrupt_level() } else { 0 };
        if let (Some(live), Some(running)) = (&mut self.live, &mut self.running) {
            if running.began && matches!(key, 3 | 26 | 28) && live.pty.is_line_mode() {
                running.dropped(live.drop_input());
            }
            if key == 3 {
                running.early |= !running.began;
                running.missed = live.press_interrupt();
            } else {
                live.type_in(&[key]);
            }
            running.key_sent = Some(key);
            if matches!(key, 3 | 26 | 28) {
                running.ask_at = Some(Instant::now() + ASK_AFTER);
            }
            // Programs may do with the key as they like. A shell that does nothing hangs: an ash on
            // glibc does if it is interrupted at the wrong moment.
            if level == 2 && live.is_in_front() {
                live.signal(live.pid, Signal::KILL);
            }
        }
        self.wait(ask);
    }

    /// How often this command was interrupted shortly before; two is the most.
    fn interrupt_level(&mut self) -> u8 {
        let now = Instant::now();
        let level = match self.interrupted {
            Some((before, level)) if now < before + ESCALATE => (level + 1).min(2),
            _ => 0,
        };
        self.interrupted = Some((now, level));
        level
    }

    fn tell_untold(&mut self, ask: Ask) {
        let Some(untold) = self.untold.take() else { return };
        let told = Told {
            content: untold.text,
            exit_code: untold.status,
            suffix: untold.suffix,
            total: Some(untold.total),
            unread: None,
        };
        let observation = self.observe(&ask.run, words::GOES_ON.to_owned(), told);
        drop(ask.reply.send(observation));
    }

    fn interrupt(&mut self, reply: oneshot::Sender<bool>) {
        reply.send(self.running.is_some()).ok();
        if self.running.is_none() {
            return;
        }
        let level = self.interrupt_level();
        let (Some(live), Some(running)) = (&mut self.live, &mut self.running) else { return };
        // Before it begins, what is not read is the command itself.
        if running.began {
            running.dropped(live.drop_input());
        }
        running.early |= !running.began;
        let signal = match level {
            0 => Signal::INT,
            1 => Signal::TERM,
            _ => Signal::KILL,
        };
        running.missed = live.interrupt(signal);
        running.ask_at = Some(Instant::now() + ASK_AFTER);
    }

    fn happened(&mut self, happening: &Happening) {
        match happening {
            Happening::Writable => {
                if let Some(live) = &mut self.live {
                    live.write_input();
                }
            }
            Happening::Readable => self.read(),
            Happening::Exited(status) => {
                if let Some(live) = &mut self.live {
                    live.ended = Some((*status, Instant::now() + LAST_OUTPUT));
                }
            }
        }
    }

    fn read(&mut self) {
        let Some(live) = &mut self.live else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        match live.pty.read(&mut buffer) {
            Ok(length) => {
                let mut pieces = Vec::new();
                live.scanner.feed(&buffer[..length], &mut pieces);
                let now = Instant::now();
                let mut after_end = false;
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => self.text(&text, now),
                        // The prompt after an end tells nothing, least of all of the next command.
                        Piece::Mark(Mark::Prompt) if after_end => {}
                        Piece::Mark(mark) => {
                            after_end = matches!(mark, Mark::End(_));
                            self.mark(mark, now);
                        }
                    }
                }
            }
            Err(_) => live.hung_up = true,
        }
        self.buffer = buffer;
    }

    fn text(&mut self, text: &[u8], now: Instant) {
        let Some(live) = self.live.as_ref().filter(|live| live.ready) else { return };
        self.view.active.set(now);
        match &mut self.running {
            Some(running) if running.began => {
                running.capture.push(text);
                running.total += text.len() as u64;
                running.spool.push(text);
                running.last_output = now;
            }
            // Under `set -x` and `set -v` this is the trace of our own words.
            Some(_) if live.flags.contains(['x', 'v']) => return,
            _ => self.background.push(text),
        }
        self.output.push(text, now);
    }

    fn mark(&mut self, mark: Mark, now: Instant) {
        let Some(live) = &self.live else { return };
        match mark {
            Mark::Begin => {
                if let Some(running) = self.running.as_mut().filter(|running| !running.began) {
                    running.began = true;
                    running.last_output = now;
                    self.output.switch(Some(running.key.clone()), now);
                    // It was too early for the shell, or was not: nobody can tell. An ash may hang if it is interrupted
                    // once too often (see `posix`).
                    if std::mem::take(&mut running.early) {
                        running.missed = match live.dialect {
                            Dialect::Bash => live.interrupt(Signal::INT),
                            Dialect::Posix => Some(Missed::next(Signal::INT)),
                        };
                    }
                }
            }
            // The prompt came without `end`: the line was thrown away. Or a program only says so:
            // then it is not the shell that is in the foreground, or asking does no harm.
            Mark::Prompt if live.is_in_front() => self.ask_shell(),
            // Nobody but the shell knows the nonce; yet a mark counts only from the foreground. If it
            // does not count, the prompt follows.
            Mark::End(end) if live.is_in_front() => self.ended(end),
            Mark::Unread => {
                if let Some(running) = &mut self.running {
                    match running.questions.checked_sub(1) {
                        Some(left) => running.questions = left,
                        None => running.unread += 1,
                    }
                }
            }
            Mark::Prompt | Mark::End(_) => {}
        }
    }

    fn ask_shell(&mut self) {
        let (Some(live), Some(running)) = (&mut self.live, &mut self.running) else { return };
        running.ask_at = None;
        let now = Instant::now();
        if let Some(again) = running.asked.map(|asked| asked + ASK_AGAIN).filter(|at| now < *at) {
            running.ask_at = Some(again);
            return;
        }
        running.asked = Some(now);
        running.questions += 1;
        if live.ask().is_err() {
            live.kill();
        }
    }

    /// The shell says how things stand: it is ready, or a command has ended.
    fn ended(&mut self, end: End) {
        let Some(live) = &mut self.live else { return };
        let left = live.said_end();
        if let Some(running) = &mut self.running {
            running.unread += left;
        }
        if live.ready && self.running.is_none() {
            // The answer to a question that the command's own end overtook: its exit code is that of
            // our words, and the command's has been told.
            return;
        }
        live.status = end.status;
        live.flags = end.flags;
        self.view.cwd.replace(end.cwd);
        if !live.ready {
            live.ready = true;
            live.status = 0;
            self.failures = 0;
            for ask in std::mem::take(&mut self.queue) {
                self.ask(ask);
            }
        } else if let Some(running) = &self.running {
            let suffix = words::completed(end.status, running.key_sent);
            self.tell_end(end.status, &suffix);
        }
    }

    fn tell_end(&mut self, status: i64, suffix: &str) {
        let Some(mut running) = self.running.take() else { return };
        let now = Instant::now();
        self.output.switch(None, now);
        self.ground.spools.borrow_mut().close(running.spool);
        self.view.busy.set(false);
        self.view.active.set(now);
        let text = running.capture.take(true, 0);
        let untold = running.waiters.is_empty();
        let unread = (running.unread > 0).then_some(running.unread);
        for mut waiter in running.waiters {
            let unread = unread.filter(|_| waiter.run.is_input);
            let told = Told {
                content: text.clone(),
                exit_code: status,
                suffix: unread
                    .map_or_else(|| suffix.to_owned(), |lines| words::unread(suffix, lines)),
                total: Some(running.total),
                unread,
            };
            let prefix = std::mem::take(&mut waiter.prefix);
            let observation = self.observe(&waiter.run, prefix, told);
            waiter.answer(observation);
        }
        if untold {
            let (total, suffix) = (running.total, suffix.to_owned());
            self.untold = Some(Untold { status, text, total, suffix });
        }
        self.done |= !self.lasting;
    }

    /// The shell's process is gone and its output has come.
    fn shell_gone(&mut self, status: i64) {
        let Some(mut live) = self.live.take() else { return };
        let held = live.scanner.take_held();
        let was_ready = live.ready;
        spool::remove(&self.ground.state_dir.join(format!("command-{}", live.pid)));
        if !held.is_empty() {
            self.live = Some(live); // `text` asks it
            self.text(&held, Instant::now());
            self.live = None;
        }
        if !was_ready {
            self.failures += 1;
            if self.failures >= MOST_FAILURES {
                let program = self.ground.program.as_ref().map(|program| program.path.as_path());
                let why = format!("it ended with exit code {status}");
                let text = words::unusable(program.unwrap_or(Path::new("")), &why);
                return self.refuse_all(&text);
            }
            return self.start_shell();
        }
        if !self.lasting {
            return self.tell_end(status, &words::shell_ended(status, None));
        }
        self.start_shell();
        let note = words::shell_ended(status, Some(&self.view.cwd.borrow()));
        if self.running.is_some() {
            self.tell_end(status, &note);
        } else {
            self.notice = note + "\n";
        }
    }

    fn observe(&self, run: &Run, prefix: String, told: Told) -> Observation {
        let pid = self.live.as_ref().map(|live| i64::from(live.pid.as_raw_nonzero().get()));
        self.ground.identity.observe(run, pid, &self.view.cwd.borrow(), prefix, told)
    }
}
