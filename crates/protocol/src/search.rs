//! Search in a workspace: names and content.
