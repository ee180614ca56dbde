//! One file from one address: `NAME.part` grows until it is whole, then its checksum decides.
//!
//! A request for `bytes=N-` is answered by 206 and the rest, by 200 and everything (a server that knows no ranges: we start over),
//! or by 416 if there is no rest (RFC 9110, 14.2).

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use md5::Md5;
use sha2::{Digest, Sha256};
use ureq::Agent;
use vae_core::data::unpack::refuse_web_page;
use vae_core::{Error, Result};

use crate::archives::{Archive, Checksum};
use super::Progress;

/// A server that is silent for so long has gone.
const SILENCE: Duration = Duration::from_secs(60);

/// Tries in a row that bring nothing new.
const TRIES: usize = 3;

/// Why a try failed.
enum Trouble {
    /// Another may do better.
    Passing(String),
    /// Another would not.
    Final(String),
}

use Trouble::{Final, Passing};

/// Makes `part` the whole file.
pub(super) fn fetch(archive: &Archive<'_>, part: &Path, tell: &mut dyn FnMut(Progress<'_>)) -> Result<()> {
    let fail = |what: String| Err(Error::File { path: archive.url.into(), what });
    let agent: Agent =
        Agent::config_builder().timeout_connect(Some(SILENCE)).timeout_per_read(Some(SILENCE)).build().into();
    let (mut most, mut vain) = (0, 0);
    // Where no size is on record, `size` is more than the file has: the server says when it is whole.
    while length(part) != archive.size {
        match attempt(&agent, archive, part, tell) {
            Ok(()) => break,
            Err(Final(what)) => return fail(what),
            Err(Passing(what)) => {
                let now = length(part);
                (most, vain) = if now > most { (now, 0) } else { (most, vain + 1) };
                if vain == TRIES {
                    return fail(format!("{what}; {now} bytes are kept: try again later to go on from there"));
                }
            }
        }
    }
    verify(archive.checksum, part).or_else(|what| {
        let _ = std::fs::remove_file(part);
        fail(format!("{what}: damaged on the way, or not the published file; it was removed, try again"))
    })
}

/// Brings what is missing of the file, or a part of that.
fn attempt(
    agent: &Agent,
    archive: &Archive<'_>,
    part: &Path,
    tell: &mut dyn FnMut(Progress<'_>),
) -> std::result::Result<(), Trouble> {
    let have = length(part);
    let mut request = agent.get(archive.url).header("accept-encoding", "identity");
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(ureq::Error::StatusCode(416)) if have > 0 => return Ok(()), // nothing is missing, or all is wrong
        Err(ureq::Error::StatusCode(code)) => return Err(Final(format!("the server answers with status {code}"))),
        Err(error @ ureq::Error::Timeout(_)) => return Err(Passing(error.to_string())),
        Err(error) => return Err(Final(format!("cannot be reached: {error}"))),
    };
    let goes_on = response.status() == 206;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut done = if goes_on { have } else { 0 };
    if goes_on && !header("content-range").starts_with(&format!("bytes {have}-")) {
        let range = header("content-range");
        return Err(Final(format!("the server sends {range:?} when asked for the bytes from {have} on")));
    }
    if header("content-type").starts_with("text/html") {
        return Err(Final("is a web page, not the archive: it may have moved".into()));
    }
    let total = header("content-length").parse::<u64>().ok().map(|rest| done.saturating_add(rest));
    let too_long = || Final(format!("is longer than the {} bytes of the published file", archive.size));
    if total.is_some_and(|total| total > archive.size) {
        return Err(too_long());
    }
    let closed = |error: std::io::Error| Final(format!("{} cannot be written: {error}", part.display()));
    let mut open = OpenOptions::new();
    let mut file = None;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) if total.is_none_or(|total| done == total) => break,
            Ok(0) => return Err(Passing(format!("was cut off after {done} bytes"))),
            Ok(count) => count,
            Err(error) => return Err(Passing(format!("was cut off after {done} bytes ({error})"))),
        };
        if done == 0 {
            refuse_web_page(&buffer[..count], "the archive").map_err(Final)?;
        }
        done += count as u64;
        if done > archive.size {
            return Err(too_long());
        }
        if file.is_none() {
            std::fs::create_dir_all(part.parent().unwrap_or(part)).map_err(closed)?;
            let opened = open.create(true).write(true).append(goes_on).truncate(!goes_on).open(part);
            file = Some(opened.map_err(closed)?);
        }
        file.iter_mut().try_for_each(|file| file.write_all(&buffer[..count])).map_err(closed)?;
        tell(Progress { url: archive.url, done, total });
    }
    file.map_or(Ok(()), |file| file.sync_all()).map_err(closed)
}

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

/// A file's checksum in hexadecimal digits.
fn hash<D: Digest>(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => digest.update(&buffer[..count]),
        }
    }
}
