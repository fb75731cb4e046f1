//! A call's arguments, one by one. Pure.
