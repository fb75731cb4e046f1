//! The command line of `staithe cp`.

use clap::Args;

use super::run::Place;

/// What `staithe cp --help` says at its end.
const CP_HELP: &str = "\
One side is here, the other in a session: SESSION:path, with the session's id as
`staithe admin sessions` and the page's address show it, or :path for the session that
--session names. Paths there are relative to the workspace; missing folders are made.

A folder is copied with all files, folders and symbolic links in it. Into a folder that is there (or a path that ends
with /) things keep their names, as with cp; else the last path is the new name.
A file's copy that is cut is taken up where it was: by itself while the command runs,
and for downloads by running it again. Nothing half-copied is ever in its place.

Where there is no server, neither by --url nor on the data directory, the command is one itself while it copies, as
`staithe run` is.

  -   is a file's bytes on stdin or stdout; where the other side is a folder
      (for stdin: where it ends with /), it is a tar archive of its content.

Exit codes: 0 all was copied, 1 something was not, 64 wrong use, 69 no server.

Examples:
  staithe cp report.pdf data/ 0198c5…e1:inputs/     a file and a folder into inputs/
  staithe cp 0198c5…e1:out/model.bin .              one file, here
  staithe cp --ignore node_modules 0198c5…e1:app ./app-copy
  git archive HEAD | staithe cp - 0198c5…e1:src/    a tar archive, unpacked there
  staithe cp 0198c5…e1:logs - | tar -tv             the other way";

#[derive(Debug, Args)]
#[command(after_help = CP_HELP)]
pub struct Cp {
    /// What is copied, and last, where to.
    #[arg(required = true, num_args = 2.., value_names = ["SRC", "DST"])]
    pub paths: Vec<String>,
    /// The session that :path means.
    #[arg(long, value_name = "SESSION", env = "STAITHE_SESSION")]
    pub session: Option<String>,
    /// What is done about a file that is there: overwrite, skip or fail.
    #[arg(long, value_enum, default_value = "overwrite", value_name = "WHAT")]
    pub on_conflict: OnConflict,
    /// A pattern, as in a .gitignore, of what is left out when a folder is copied out; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub ignore: Vec<String>,
    /// Print one JSON list of {"from","to","bytes"} at the end.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: Place,
}

/// What is done about a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnConflict {
    Overwrite,
    Skip,
    Fail,
}

impl OnConflict {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Skip => "skip",
            Self::Fail => "fail",
        }
    }
}
