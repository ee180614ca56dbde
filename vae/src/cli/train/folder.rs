//! The folder of a new run.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use vae_core::{Error, Result};
use vae_run::Folder;

/// Creates and locks the folder that `--out` names, or a new folder `runs/RECIPE-TIME`. If there is one already, because another
/// run began in the same second, a number is added to the name.
pub(super) fn prepare(out: Option<&Path>, name: &str) -> Result<Folder> {
    if let Some(out) = out {
        if out.as_os_str().is_empty() {
            return Err(Error::config("--out: the name is empty; name a folder"));
        }
        return Folder::prepare(out);
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    Folder::prepare_numbered(&Path::new("runs").join(format!("{name}-{}", timestamp(seconds))))
}

/// Seconds since 1970 as `YYYYMMDD-HHMMSS`, UTC (Hinnant's days to civil date).
fn timestamp(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100); // from 1 March
    let month = (5 * of_year + 2) / 153;
    let (d, m) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let y = year + era * 400 + u64::from(m <= 2);
    format!("{y:04}{m:02}{d:02}-{:02}{:02}{:02}", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn stamps_are_civil_dates() {
        for (seconds, date) in [
            (0, "19700101-000000"),
            (951_782_400, "20000229-000000"),
            (1_795_262_445, "20261121-120045"),
            (4_107_542_399, "21000228-235959"),
            (4_107_542_400, "21000301-000000"),
        ] {
            assert_eq!(timestamp(seconds), date);
        }
    }
}
