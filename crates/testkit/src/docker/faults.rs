//! What goes wrong, and when.

use std::time::Duration;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and message instead of the work.
    Status(u16, String),
    /// A success whose body is no JSON, instead of the work.
    Garbage,
    /// Neither work nor answer, as long as the client waits.
    Hang,
    /// The connection is closed without work or answer.
    Drop,
    /// The work is done, then the connection is closed without an answer.
    DropAfterEffect,
    /// The work is done, then there is no answer, as long as the client waits.
    HangAfterEffect,
    /// Work and answer come later.
    Slow(Duration),
    /// Work and answer come when the test says so: see `FakeDockerd::release`.
    Hold,
}

impl Fault {
    /// This status with a message.
    pub fn status(status: u16, message: &str) -> Self {
        Self::Status(status, message.to_owned())
    }
}

#[derive(Debug)]
pub(super) struct Rule {
    /// A route's name, or its beginning and `*`.
    pub(super) route: String,
    /// Requests that pass before it counts.
    pub(super) skip: usize,
    /// Requests that it hits; none: all.
    pub(super) times: Option<usize>,
    pub(super) fault: Fault,
}

impl Rule {
    fn is_for(&self, route: &str) -> bool {
        match self.route.strip_suffix('*') {
            Some(beginning) => route.starts_with(beginning),
            None => self.route == route,
        }
    }
}

/// The script. The first rule that hits wins.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Rule>);

impl Faults {
    pub(super) fn of(&mut self, route: &str) -> Option<Fault> {
        let mut hit = None;
        for rule in self.0.iter_mut().filter(|rule| rule.is_for(route)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if hit.is_none() && rule.times != Some(0) {
                rule.times = rule.times.map(|times| times - 1);
                hit = Some(rule.fault.clone());
            }
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(route: &str, skip: usize, times: Option<usize>, status: u16) -> Rule {
        Rule { route: route.into(), skip, times, fault: Fault::status(status, "x") }
    }

    #[test]
    fn rules_skip_hit_and_wear_out() {
        let mut faults = Faults(vec![
            rule("POST /a", 1, Some(1), 500),
            rule("POST *", 0, Some(1), 501),
            rule("GET /b", 0, None, 502),
        ]);
        let mut hit = |route: &str| match faults.of(route) {
            Some(Fault::Status(status, _)) => status,
            _ => 0,
        };
        assert_eq!([hit("POST /a"), hit("POST /a"), hit("POST /a")], [501, 500, 0]);
        assert_eq!([hit("GET /b"), hit("GET /b"), hit("GET /a")], [502, 502, 0]);
    }
}
