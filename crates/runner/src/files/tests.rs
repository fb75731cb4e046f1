//! The operations on a real folder.
