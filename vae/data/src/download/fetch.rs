//! Downloads one file. The bytes are appended to `NAME.part` until the file is complete. Then its checksum is verified.
//!
//! The system's `curl` program does the transfer, because TLS in this program was a tenth of its first build, for a
//! flag that few people use. `curl` writes the head of the response and then the body to its standard output. This
//! module reads both, so it can refuse a response, and it limits the size of the file.
//!
//! A server answers a request for the range `bytes=N-` with one of these statuses (RFC 9110, 14.2): 206 and the
//! remaining bytes, 200 and the whole file if it does not support ranges, so that we start over, or 416 if no bytes
//! remain.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use md5::Md5;
use sha2::{Digest, Sha256};
use vae_core::data::unpack::refuse_web_page;
use vae_core::{Error, Result, hex};

use super::Progress;
use crate::archives::{Archive, Checksum};

/// The program that transfers files.
const CURL: &str = "curl";

/// The arguments of every transfer. `--disable` must be the first one. It ignores a `.curlrc`, which could change the
/// others.
#[rustfmt::skip]
const ARGUMENTS: [&str; 15] = [
    "--disable", "--silent", "--show-error", "--globoff",
    "--include", // the head of the response comes before its body
    "--suppress-connect-headers", // but not that of a proxy's answer, which would be taken for it
    "--location", "--max-redirs", "10",
    "--connect-timeout", "60",
    "--speed-limit", "1", "--speed-time", "60", // give up on a server that sends nothing for a minute
];

/// The number of consecutive attempts without new bytes after which we give up.
const ATTEMPTS: usize = 3;

/// Why an attempt failed.
pub(super) enum FetchError {
    /// Another attempt may succeed.
    Temporary(String),
    /// Another attempt would fail in the same way.
    Permanent(String),
}

use FetchError::{Permanent, Temporary};

/// Downloads the rest of the file to `part`, and verifies its checksum.
pub(super) fn fetch(archive: &Archive<'_>, part: &Path, on_progress: &mut dyn FnMut(Progress<'_>)) -> Result<()> {
    let fail = |what: String| Err(Error::File { path: archive.url.into(), what });
    let (mut most, mut failures) = (0, 0);
    // If the exact size is unknown, `size` is an upper bound, and the server reports when the file is complete.
    while length(part) != archive.size {
        match attempt(archive, part, on_progress) {
            Ok(()) => break,
            Err(Permanent(what)) => return fail(what),
            Err(Temporary(what)) => {
                let now = length(part);
                (most, failures) = if now > most { (now, 0) } else { (most, failures + 1) };
                if failures == ATTEMPTS {
                    return fail(format!("{what}; {now} bytes are saved; try again later to continue"));
                }
            }
        }
    }
    verify(archive.checksum, part).or_else(|what| {
        let _ = std::fs::remove_file(part);
        fail(format!(
            "{what}: the file was damaged in transit, or is not the published file; it was removed, so try again"
        ))
    })
}

/// Transfers the missing bytes of the file, or some of them.
fn attempt(
    archive: &Archive<'_>,
    part: &Path,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> std::result::Result<(), FetchError> {
    let have = length(part);
    let mut transfer = Transfer::start(CURL, archive.url, have)?;
    let Some(head) = transfer.head() else { return Err(transfer.missing_head_error()) };
    match head.status {
        200 | 206 => {}
        416 if have > 0 => return Ok(()), // the file is complete, or its checksum will be wrong
        status => return Err(Permanent(format!("the server answers with status {status}"))),
    }
    let resumed = head.status == 206;
    let mut done = if resumed { have } else { 0 };
    if resumed && !head.field("content-range").starts_with(&format!("bytes {have}-")) {
        let range = head.field("content-range");
        return Err(Permanent(format!("the server sent {range:?} instead of the bytes from {have} on")));
    }
    if head.field("content-type").starts_with("text/html") {
        return Err(Permanent("is a web page, not the archive; the archive may have moved".into()));
    }
    let total = head.field("content-length").parse::<u64>().ok().map(|rest| done.saturating_add(rest));
    let too_long = || Permanent(format!("is longer than the {} bytes of the published file", archive.size));
    if total.is_some_and(|total| total > archive.size) {
        return Err(too_long());
    }
    let unwritable = |error: std::io::Error| Permanent(format!("{} cannot be written: {error}", part.display()));
    let mut file = None;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = transfer.output.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            break;
        }
        if done == 0 {
            refuse_web_page(&buffer[..count], "the archive").map_err(Permanent)?;
        }
        done += count as u64;
        if done > archive.size {
            return Err(too_long());
        }
        if file.is_none() {
            std::fs::create_dir_all(part.parent().unwrap_or(part)).map_err(unwritable)?;
            let mut options = OpenOptions::new();
            let options = options.create(true).write(true).append(resumed).truncate(!resumed);
            file = Some(options.open(part).map_err(unwritable)?);
        }
        file.iter_mut().try_for_each(|file| file.write_all(&buffer[..count])).map_err(unwritable)?;
        on_progress(Progress { url: archive.url, done, total });
    }
    file.map_or(Ok(()), |file| file.sync_all()).map_err(unwritable)?;
    match transfer.end() {
        Ok(()) if total.is_none_or(|total| done == total) => Ok(()),
        Ok(()) => Err(Temporary(format!("was cut off after {done} bytes"))),
        Err((_, why)) => Err(Temporary(format!("was cut off after {done} bytes ({why})"))),
    }
}

/// A running `curl` process. Dropping this value ends the process.
pub(super) struct Transfer {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// The head of a response: its status and its header fields.
struct Head {
    status: u16,
    lines: Vec<String>,
}

impl Transfer {
    /// Starts `program`, which requests the bytes of `url` from the offset `from` on. The address is not passed through
    /// a shell.
    pub(super) fn start(program: &str, url: &str, from: u64) -> std::result::Result<Transfer, FetchError> {
        // A redirection may lead neither to a file on this machine nor from https to http.
        let protocols = if url.starts_with("https:") { "=https" } else { "=http,https" };
        let mut command = Command::new(program);
        command.args(ARGUMENTS).args(["--proto", protocols, "--url", url]);
        if from > 0 {
            command.args(["--range", &format!("{from}-")]);
        }
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Permanent(format!(
                "cannot be fetched without the program `{program}`: install it (Debian, Ubuntu: apt-get install curl; \
                 Fedora: dnf install curl; Arch: pacman -S curl)"
            )),
            _ => Permanent(format!("cannot be fetched: the program `{program}` does not start: {error}")),
        })?;
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Ok(Transfer { child, output })
    }

    /// Reads the head of the final response and skips those of redirections. Returns `None` if `curl` ends before it.
    fn head(&mut self) -> Option<Head> {
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = Vec::new();
                self.output.read_until(b'\n', &mut line).ok().filter(|&count| count > 0)?;
                match String::from_utf8_lossy(&line).trim_end() {
                    "" => break,
                    line => lines.push(line.to_owned()),
                }
            }
            let status = lines.first()?.split(' ').nth(1)?.parse().ok()?;
            let head = Head { status, lines };
            let another_follows = status < 200 || (300..400).contains(&status) && !head.field("location").is_empty();
            if !another_follows {
                return Some(head);
            }
        }
    }

    /// Waits until `curl` ends. If it fails, returns its exit code and its message.
    fn end(&mut self) -> std::result::Result<(), (Option<i32>, String)> {
        let mut message = String::new();
        self.child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut message));
        let status = self.child.wait().map_err(|error| (None, error.to_string()))?;
        match (status.success(), message.trim().lines().next_back()) {
            (true, _) => Ok(()),
            (false, Some(line)) => Err((status.code(), line.to_owned())),
            (false, None) => Err((status.code(), format!("{CURL} ended with {status}"))),
        }
    }

    /// Returns why the transfer has no response head.
    fn missing_head_error(&mut self) -> FetchError {
        const TIMED_OUT: i32 = 28;
        match self.end() {
            Err((Some(TIMED_OUT), why)) => Temporary(why),
            Err((_, why)) => Permanent(format!("cannot be reached: {why}")),
            Ok(()) => Permanent("cannot be reached: the server's response has no status".into()),
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Head {
    /// Returns the value of a header field, or an empty string if the response does not have it.
    fn field(&self, name: &str) -> &str {
        let fields = self.lines.iter().filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next().unwrap_or("")
    }
}

/// Returns the length of a file in bytes, or 0 if it does not exist.
fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

fn verify(checksum: Checksum<'_>, path: &Path) -> std::result::Result<(), String> {
    let (name, wanted, found) = match checksum {
        Checksum::Sha256(wanted) => ("SHA-256", wanted, hash::<Sha256>(path)),
        Checksum::Md5(wanted) => ("MD5", wanted, hash::<Md5>(path)),
    };
    match found {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(format!("has the {name} {found}, expected {wanted}")),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// Returns the checksum of a file in hexadecimal digits.
fn hash<D: Digest>(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(digest.finalize())),
            count => digest.update(&buffer[..count]),
        }
    }
}
