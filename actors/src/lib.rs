//! The heart: SessionManager, Session, AgentSession, Runtime and EventStream.
