//! Errors in words, for logs and for messages that go on without their source.

use std::error::Error;

/// An error with all that is behind it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::EngineFailed;

    #[test]
    fn an_operation_that_failed_says_why() {
        let failed = EngineFailed::Operation {
            operation: "save",
            name: "an image".into(),
            source: io::Error::new(io::ErrorKind::StorageFull, "no space left on device"),
            remedy: String::new(),
        };
        assert_eq!(chain(&failed), "could not save an image: no space left on device");
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        assert_eq!(chain(&io::Error::other(io::Error::other("broken"))), "broken");
    }
}
