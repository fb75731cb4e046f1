//! The durable log of events and the records of sessions.
