//! The budgets of the design (§9), each measured beside its floor in the same run. `cargo bench`.
//!
//! Floors and measurements take turns, so that a busy machine slows both. Medians and ratios count;
//! the absolute figures say what this machine was like. Nothing here passes or fails.

mod docker;
mod echo;
mod log;
mod start;
mod support;
mod terminal;

use support::{Row, print};

fn main() {
    // `cargo test --benches` runs this too; measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    // `cargo bench -- terminal`: that alone.
    if std::env::args().any(|argument| argument == "terminal") {
        return print(&terminal::key());
    }
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(start::server());
    rows.extend(start::runner());
    rows.extend(start::session());
    rows.extend(docker::rows());
    rows.extend(echo::echo());
    rows.extend(terminal::key());
    rows.extend(log::append());
    print(&rows);
}
