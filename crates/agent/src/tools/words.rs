//! What is said of each tool. Pure.
