//! The budgets of the design (§9), each measured beside its floor in the same run. `cargo bench`.
//!
//! Floors and measurements take turns, so that a busy machine slows both. Medians and ratios count;
//! the absolute figures say what this machine was like. Nothing here passes or fails.

mod crowd;
mod docker;
mod echo;
mod log;
mod start;
mod support;
mod terminal;

use support::{Row, print};

/// What gives some rows of the table.
type Measure = fn() -> Vec<Row>;

fn main() {
    // `cargo test --benches` runs this too; measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let all: [(&str, Measure); 10] = [
        ("server", start::server),
        ("runner", start::runner),
        ("session", start::session),
        ("docker", docker::rows),
        ("echo", echo::echo),
        ("terminal", terminal::key),
        ("append", log::append),
        ("fan-out", crowd::fan_out),
        ("replay", crowd::replay),
        ("idle", crowd::idle),
    ];
    // `cargo bench -- terminal idle`: those alone.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|it| it == name);
    let rows = all.iter().filter(|(name, _)| is_wanted(name)).flat_map(|(_, measure)| measure());
    print(&rows.collect::<Vec<_>>());
}
