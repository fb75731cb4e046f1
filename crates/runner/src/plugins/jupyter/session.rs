//! The cells of a session, one after the other, in one kernel that is begun when it is first needed.

use std::{
    cell::{Cell as Flag, RefCell},
    rc::Rc,
    time::Duration,
};

use futures_util::FutureExt as _;
use staithe_protocol::{
    Observation, action::RunIpython, observation::RunIpythonObservation, runner::Limits,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    cell::{Cell, DIED_BEFORE, End, Output},
    kernel::{Gateway, Kernel},
    words,
};
use crate::shell::{Ground, output::Output as Live, running::most, spool::Spool};

/// A new kernel answers within this.
const BEGIN: Duration = Duration::from_secs(25);
/// A kernel stops so long after an interrupt, or it is deaf.
const HEARING: Duration = Duration::from_secs(5);
/// Interrupts of one cell; the last one ends the kernel.
const MOST_INTERRUPTS: u32 = 3;
/// After the reply, the rest of the output is waited for as long as it comes at least so often.
const REST: Duration = Duration::from_secs(5);
/// What a step between cells may take: it does nothing but look and change the folder.
const STEP: Duration = Duration::from_secs(10);

const DIR: (&str, &str) = ("dir", "__import__('os').getcwd().encode().hex()");
const PROGRAM: (&str, &str) = ("program", "__import__('sys').executable.encode().hex()");

/// A cell that is asked for.
pub struct Ask {
    pub key: String,
    pub cell: RunIpython,
    pub limits: Limits,
    /// The shell's folder.
    pub cwd: String,
    pub reply: oneshot::Sender<Observation>,
}

/// What others see of it and say to it while a cell runs.
#[derive(Default)]
pub struct Control {
    running: Flag<bool>,
    interrupted: Notify,
}

impl Control {
    /// A cell begins. An interrupt that came while the one before ended was not for it.
    fn begin(&self) {
        self.interrupted.notified().now_or_never();
        self.running.set(true);
    }

    /// Whether a cell runs.
    pub fn is_running(&self) -> bool {
        self.running.get()
    }

    /// Interrupts the cell that runs. Whether there is one.
    pub fn interrupt(&self) -> bool {
        if self.running.get() {
            self.interrupted.notify_one();
        }
        self.running.get()
    }
}

/// The loop that holds the kernel.
pub struct Session {
    pub ground: Rc<Ground>,
    /// The kind of kernel; empty: the gateway's default.
    pub name: String,
    /// None while the gateway does not answer.
    pub gateway: Rc<RefCell<Option<Rc<Gateway>>>>,
    pub control: Rc<Control>,
    pub live: Live,
    pub held: Option<Held>,
    /// A kernel was lost, and nobody was told yet.
    pub lost: bool,
}

/// A kernel that cells run in.
pub struct Held {
    kernel: Kernel,
    /// The shell's folder, as it was last taken over.
    followed: String,
    /// Its own folder and its interpreter, as last told.
    dir: String,
    program: String,
}

/// The output of an action while it comes.
struct Sheet {
    output: Output,
    spool: Spool,
}

impl Session {
    /// Runs until nobody can ask any more.
    pub async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        loop {
            tokio::select! {
                ask = asks.recv() => {
                    let Some(ask) = ask else { break };
                    self.control.begin();
                    let observation = self.observe(&ask).await;
                    self.control.running.set(false);
                    drop(ask.reply.send(observation)); // who asked may have gone
                }
                () = self.rest() => {}
            }
        }
    }

    /// Reads what comes between cells; ends when the kernel has died.
    async fn rest(&mut self) {
        let Some(held) = &mut self.held else { return std::future::pending().await };
        loop {
            match held.kernel.next().await {
                Some(message) if !message.tells_death() => {}
                _ => break,
            }
        }
        self.held = None;
        self.lost = true;
    }

    async fn observe(&mut self, ask: &Ask) -> Observation {
        let most = most(&ask.limits);
        let fresh = match self.have_kernel().await {
            Ok(fresh) => fresh,
            Err(cause) => return words::unavailable(&cause),
        };
        let mut sheet = Sheet {
            output: Output::new(most),
            spool: self.ground.spools.borrow_mut().open(&ask.key),
        };
        self.live.switch(Some(ask.key.clone()), Instant::now());
        let end = self.cells(ask, fresh, &mut sheet).await;
        self.live.switch(None, Instant::now());
        self.ground.spools.borrow_mut().close(sheet.spool);
        let told_of = self.held.as_ref().map(|held| (held.dir.clone(), held.program.clone()));
        if !end.spares_kernel() {
            self.held = None;
        }
        let total = sheet.output.total;
        let (mut content, images) = sheet.output.finish(end, most);
        if std::mem::take(&mut self.lost) {
            content.insert_str(0, DIED_BEFORE);
        }
        if let Some((dir, program)) = told_of.filter(|_| ask.cell.include_extra) {
            content.push_str(&words::extra(&dir, &program));
        }
        Observation::RunIpython(RunIpythonObservation {
            content,
            code: ask.cell.code.clone(),
            image_urls: (!images.is_empty()).then_some(images),
            total_bytes: Some(total),
        })
    }

    /// Has a kernel; whether it is a new one.
    async fn have_kernel(&mut self) -> Result<bool, String> {
        let gateway = self.gateway.borrow().clone();
        let gateway = gateway.ok_or("the kernel gateway does not run")?;
        if self.held.as_ref().is_some_and(|held| *held.kernel.gateway() != gateway) {
            self.held = None; // its gateway has ended, and it with that
            self.lost = true;
        }
        if self.held.is_some() {
            return Ok(false);
        }
        let begun = timeout(BEGIN, async {
            let kernel =
                Kernel::begin(gateway, &self.name).await.map_err(|error| error.to_string())?;
            let mut held = Held {
                kernel,
                followed: self.ground.workspace.clone(),
                dir: self.ground.workspace.clone(),
                program: String::new(),
            };
            let seen =
                step(&mut held, "pass", &[DIR, PROGRAM]).await.ok_or("the kernel died at once")?;
            held.dir = seen.told(DIR.0).unwrap_or_default();
            held.program = seen.told(PROGRAM.0).unwrap_or_default();
            held.followed.clone_from(&held.dir);
            Ok::<_, String>(held)
        })
        .await;
        let late = || format!("the kernel did not answer within {} s", BEGIN.as_secs());
        self.held = Some(begun.map_err(|_| late())??);
        Ok(true)
    }

    async fn cells(&mut self, ask: &Ask, fresh: bool, sheet: &mut Sheet) -> End {
        let Some(held) = &mut self.held else { return End::Cut };
        if held.followed != ask.cwd {
            let code = words::change_dir(&ask.cwd);
            match timeout(STEP, step(held, &code, &[DIR])).await {
                Ok(Some(seen)) => held.dir = seen.told(DIR.0).unwrap_or_else(|| held.dir.clone()),
                Ok(None) => return End::Died,
                Err(_) => return End::Cut,
            }
            held.followed.clone_from(&ask.cwd);
        }
        let timeout = Duration::from_millis(ask.limits.timeout_ms);
        let deadline = Instant::now() + timeout.min(Duration::from_hours(24 * 365));
        let first = &ask.cell.kernel_init_code;
        if fresh && !first.trim().is_empty() {
            let end = self.cell(first, (timeout, deadline), sheet).await;
            if end != End::Done {
                return end;
            }
        }
        self.cell(&ask.cell.code, (timeout, deadline), sheet).await
    }

    /// One cell to its end.
    async fn cell(
        &mut self,
        code: &str,
        (limit, deadline): (Duration, Instant),
        sheet: &mut Sheet,
    ) -> End {
        let Some(held) = &mut self.held else { return End::Cut };
        let Ok(id) = held.kernel.execute(code, false, &[DIR]).await else { return End::Cut };
        let mut cell = Cell::new(id);
        let (mut timed_out, mut interrupts) = (false, 0);
        let mut until = deadline;
        let end = loop {
            let due = self.live.due.unwrap_or(until).min(until);
            tokio::select! {
                message = held.kernel.next() => match message {
                    Some(message) if message.tells_death() => break End::Died,
                    Some(message) => {
                        if let Some(text) = cell.take(message, &mut sheet.output) {
                            sheet.spool.push(text.as_bytes());
                            self.live.push(text.as_bytes(), Instant::now());
                        }
                        if cell.is_done() {
                            break End::Done;
                        }
                        if cell.is_replied() {
                            until = Instant::now() + REST;
                        }
                    }
                    None => break End::Cut,
                },
                () = self.control.interrupted.notified() => {
                    interrupts += 1;
                    if interrupts >= MOST_INTERRUPTS {
                        break End::Deaf;
                    }
                    held.kernel.interrupt();
                }
                () = sleep_until(due) => {
                    let now = Instant::now();
                    if self.live.tick(now) {
                        sheet.spool.flush();
                    }
                    if now < until {
                        continue;
                    }
                    if cell.is_replied() {
                        break End::Done; // the rest of its output is lost on the way
                    }
                    if timed_out {
                        break End::TimedOutDeaf(limit);
                    }
                    timed_out = true;
                    until = now + HEARING;
                    held.kernel.interrupt();
                }
            }
        };
        if let Some(dir) = cell.told(DIR.0) {
            held.dir = dir;
        }
        if end == End::Done && timed_out { End::TimedOut(limit) } else { end }
    }
}

/// Runs code that prints nothing; what was told of it. None: the kernel is gone.
async fn step(held: &mut Held, code: &str, expressions: &[(&str, &str)]) -> Option<Cell> {
    let id = held.kernel.execute(code, true, expressions).await.ok()?;
    let (mut cell, mut nothing) = (Cell::new(id), Output::new(0));
    while !cell.is_done() {
        let message = held.kernel.next().await?;
        if message.tells_death() {
            return None;
        }
        cell.take(message, &mut nothing);
    }
    Some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_is_for_the_cell_that_runs_and_no_other() {
        let control = Control::default();
        assert!(!control.interrupt(), "nothing runs");
        control.begin();
        assert!(control.interrupt());
        assert!(control.interrupted.notified().now_or_never().is_some(), "also before it is heard");
        assert!(control.interrupt(), "it ends before it hears of it");
        control.running.set(false);
        control.begin();
        assert!(control.interrupted.notified().now_or_never().is_none());
    }
}
