//! Fakes and probes, only ever a dev-dependency.
