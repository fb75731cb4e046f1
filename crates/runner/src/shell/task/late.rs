//! What the loop does by the clock.

use tokio::time::Instant;

use super::{
    super::{
        running::{Told, Waiter},
        words,
    },
    LAST_OUTPUT, LOOK_AGAIN, SILENCE, Task,
};

impl Task {
    /// When something is due next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let mut all: Vec<Instant> = self.output.due.into_iter().collect();
        if let Some(live) = &self.live {
            match live.ended {
                Some((_, until)) if live.hung_up => all.push(until - LAST_OUTPUT),
                Some((_, until)) => all.push(until),
                None if !live.ready => all.push(live.started + SILENCE),
                None => {}
            }
        }
        if let Some(running) = &self.running {
            all.extend(running.ask_at);
            if running.missed.is_some() {
                all.push(Instant::now() + LOOK_AGAIN);
            }
            if !running.began {
                all.push(running.started + SILENCE);
            }
            for waiter in &running.waiters {
                all.push(waiter.hard);
                all.extend(waiter.quiet_at(running.last_output));
            }
        }
        all.into_iter().min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.output.tick(now)
            && let Some(running) = &mut self.running
        {
            running.spool.flush();
        }
        self.tell_late(now);
        let Some(live) = &self.live else { return };
        match live.ended {
            Some((status, until)) => {
                if live.hung_up || now >= until {
                    self.shell_gone(status);
                }
                return;
            }
            None if !live.ready && now >= live.started + SILENCE => live.kill(),
            None => {}
        }
        let Some(running) = &mut self.running else { return };
        if !running.began && now >= running.started + SILENCE {
            live.kill();
        }
        if let Some(missed) = &mut running.missed {
            if let Some((front, signal)) = missed.due(live.pid, live.pty.foreground()) {
                live.signal(front, signal);
            }
            running.missed.take_if(|missed| missed.is_over(now));
        }
        if running.ask_at.is_some_and(|at| now >= at) {
            running.ask_at = None;
            if live.is_in_front() {
                self.ask_shell();
            }
        }
    }

    /// Answers those whose time is over; the command goes on.
    fn tell_late(&mut self, now: Instant) {
        let Some(mut running) = self.running.take() else { return };
        let last_output = running.last_output;
        let is_late = |waiter: &mut Waiter| {
            now >= waiter.hard || waiter.quiet_at(last_output).is_some_and(|at| now >= at)
        };
        let late: Vec<Waiter> = running.waiters.extract_if(.., is_late).collect();
        for mut waiter in late {
            let suffix = match waiter.quiet {
                _ if now >= waiter.hard && !self.lasting => {
                    words::timed_out_and_ended(waiter.timeout)
                }
                Some(quiet) if now < waiter.hard => words::no_change(quiet),
                _ => words::timed_out(waiter.timeout),
            };
            let told = Told {
                content: running.capture.take(false, waiter.most),
                exit_code: -1,
                suffix,
                total: Some(running.total),
                unread: None,
            };
            let prefix = std::mem::take(&mut waiter.prefix);
            let observation = self.observe(&waiter.run, prefix, told);
            waiter.answer(observation);
            self.done |= !self.lasting;
        }
        self.running = Some(running);
    }
}
