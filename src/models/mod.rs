//! The models that sessions may use: which there are, whose keys open them, and where keys that people set are kept.
//!
//! | file | what |
//! |---|---|
//! | `book` | groups of the configuration with the keys that hold |
//! | `vault` | keys on the disk |
//! | `seal` | one key, encrypted |

pub mod book;
pub mod seal;
pub mod vault;
