//! What is said of cells beside their output. Pure.

use staithe_protocol::Observation;

/// The id of the errors that say that there is no kernel.
const NO_KERNEL: &str = "AGENT_ERROR$NO_KERNEL";

/// A cell could not be run; `cause` is a sentence.
pub fn error(cause: &str) -> Observation {
    Observation::error(format!("ERROR: The code was not run. {cause}"), NO_KERNEL)
}

/// There is no kernel to run it in; `cause` is a clause.
pub fn unavailable(cause: &str) -> Observation {
    error(&format!("There is no kernel: {cause}. Try again, or restart the plugin jupyter."))
}

/// The two lines after a cell's output, in the reference's words.
pub fn extra(dir: &str, program: &str) -> String {
    format!("\n[Jupyter current working directory: {dir}]\n[Jupyter Python interpreter: {program}]")
}

/// The code that changes to a folder and leaves no name behind.
pub fn change_dir(dir: &str) -> String {
    // A text of JSON is one of Python, too.
    format!("__import__('os').chdir({})", serde_json::Value::from(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_can_be_named() {
        assert_eq!(change_dir("/a b'\"\n\\ä"), r#"__import__('os').chdir("/a b'\"\n\\ä")"#);
    }
}
