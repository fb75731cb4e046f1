//! Staithe.
