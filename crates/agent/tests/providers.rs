//! The adapter against the fake server, in all four protocols: what is asked, what is heard, what goes wrong.

mod providers {
    mod asked;
    mod common;
    mod errors;
    mod faults;
    mod heard;
}
