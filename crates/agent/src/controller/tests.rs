//! The controller in a world of its own: by example, and against all that may happen.

mod confirming;
mod crashes;
mod cut;
mod delegates;
mod failing;
mod flat;
mod limits;
mod random;
mod states;
mod steps;
mod world;
