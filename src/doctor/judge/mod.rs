//! From facts to findings. Pure.

pub(crate) mod docker;
pub(crate) mod engines;
pub(crate) mod machine;
pub(crate) mod models;

use super::{
    facts::Space,
    finding::{Finding, Status, size},
};

/// Less than this soon becomes nothing.
const LITTLE_SPACE: u64 = 2 << 30;
/// With less than this nothing can be worked with.
const NO_SPACE: u64 = 200 << 20;
/// Fewer files than this soon become none.
const FEW_FILES: u64 = 10_000;

/// Judges the room on a disk.
fn space(check: &'static str, place: &str, space: Space, remedy: &str) -> Finding {
    let found = format!("{} of {} are free for {place}", size(space.free), size(space.total));
    let status = match space.free {
        free if free < NO_SPACE => Status::Fail,
        free if free < LITTLE_SPACE => Status::Warn,
        _ => match space.free_files {
            Some(files) if files < FEW_FILES => {
                let found = format!("{found}, but only {files} more files can be made");
                return Finding::warn(check, found, remedy);
            }
            _ => return Finding::ok(check, found),
        },
    };
    let least = if status == Status::Fail { NO_SPACE } else { LITTLE_SPACE };
    Finding::bad(check, status, format!("{found}; at least {} are needed", size(least)), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_space_is_told_and_no_space_fails() {
        let of = |free, free_files| {
            let room = Space { free, total: 100 << 30, free_files };
            space("data_dir.space", "/data", room, "Free some")
        };
        assert_eq!(of(50 << 30, None).status, Status::Ok);
        assert_eq!(of(LITTLE_SPACE, Some(1 << 20)).status, Status::Ok);
        assert_eq!(of(LITTLE_SPACE - 1, None).status, Status::Warn);
        assert_eq!(of(NO_SPACE, None).status, Status::Warn);
        assert_eq!(of(NO_SPACE - 1, None).status, Status::Fail);
        let files = of(50 << 30, Some(3));
        assert!(files.status == Status::Warn && files.found.contains("only 3 more files"));
        assert_eq!(
            of(1 << 30, None).found,
            "1.0 GiB of 100.0 GiB are free for /data; at least 2.0 GiB are needed"
        );
    }
}
