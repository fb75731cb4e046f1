//! Finding out: looks, tries, and leaves nothing behind.

pub(crate) mod accounts;
pub(crate) mod engines;
pub(crate) mod machine;
pub(crate) mod scratch;
