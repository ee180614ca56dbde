//! Downloads from a server of our own, which cuts connections, lies and knows no ranges as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::*;
use crate::archives::Checksum;

/// How the server behaves.
#[derive(Clone, Copy)]
struct Manners {
    /// Bytes of a body after which it hangs up.
    cut: usize,
    /// Whether it answers a request for a range by that range.
    ranges: bool,
    /// The type that it names.
    kind: &'static str,
    /// The status of a whole answer.
    status: &'static str,
    /// Where it sends those who ask for `/set.bin`.
    moved: Option<&'static str>,
}

const POLITE: Manners =
    Manners { cut: usize::MAX, ranges: true, kind: "application/x-gzip", status: "200 OK", moved: None };

/// A server on this machine, and where each request wanted to begin.
struct Server {
    address: String,
    starts: Arc<Mutex<Vec<usize>>>,
}

impl Server {
    /// Serves `body` to every request, for as long as the test runs.
    fn start(body: &[u8], manners: Manners) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/set.bin", listener.local_addr().unwrap());
        let starts = Arc::new(Mutex::new(Vec::new()));
        let (seen, body) = (starts.clone(), body.to_vec());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &body, manners, &seen);
            }
        });
        Server { address, starts }
    }

    fn starts(&self) -> Vec<usize> {
        self.starts.lock().unwrap().clone()
    }

    fn archive<'a>(&'a self, checksum: &'a str, size: usize) -> Archive<'a> {
        Archive {
            url: &self.address,
            folder: "a/b",
            gives: &["set.bin"],
            checksum: if checksum.len() == 64 { Checksum::Sha256(checksum) } else { Checksum::Md5(checksum) },
            size: size as u64,
            pack: Pack::File,
        }
    }
}

/// Answers one request, and notes where it wanted to begin.
fn answer(mut stream: TcpStream, body: &[u8], manners: Manners, starts: &Mutex<Vec<usize>>) {
    let head: Vec<String> = BufReader::new(&stream)
        .lines()
        .map_while(std::result::Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_ascii_lowercase())
        .collect();
    if let Some(place) = manners.moved.filter(|_| head[0].starts_with("get /set.bin ")) {
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 5\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(format!("{head}moved").as_bytes());
        return;
    }
    let range = head.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    starts.lock().unwrap().push(range.unwrap_or(0));
    let (status, first) = match range {
        Some(start) if manners.ranges && start < body.len() => ("206 Partial Content", start),
        Some(_) if manners.ranges => ("416 Range Not Satisfiable", body.len()),
        _ => (manners.status, 0),
    };
    let rest = &body[first..];
    let range = format!("content-range: bytes {first}-{}/{}\r\n", body.len() - 1, body.len());
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: {}\r\n{}connection: close\r\n\r\n",
        rest.len(),
        manners.kind,
        if status.starts_with("206") { &range } else { "" },
    );
    let _ = stream.write_all(&rest[..rest.len().min(manners.cut)]);
}

fn body() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Downloads into a folder; gives what was told last.
fn get(archive: &Archive<'_>, dir: &Path) -> Result<u64> {
    let mut last = 0;
    download(&[*archive], dir, &mut |progress| last = progress.done)?;
    Ok(last)
}

fn refused(archive: &Archive<'_>, dir: &Path, says: &str) {
    let message = get(archive, dir).expect_err(says).to_string();
    assert!(message.contains(says) && message.contains(archive.url) && !message.contains('\n'), "{says}: {message}");
    assert!(!dir.join("a/b/set.bin").exists());
}

#[test]
fn a_file_arrives_once() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let (server, sum) = (Server::start(&body, POLITE), sha256(&body));
    let archive = server.archive(&sum, body.len());
    assert_eq!(get(&archive, dir.path()).unwrap(), body.len() as u64);
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);
    assert!(!dir.path().join("a/b/set.bin.part").exists());
    let again = get(&archive, dir.path()).unwrap_err().to_string();
    assert!(again.contains("set.bin exist, but are incomplete"), "{again}");
    assert_eq!(server.starts(), [0]);
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let (server, sum) = (Server::start(&body, Manners { cut: 110_000, ..POLITE }), sha256(&body));
    get(&server.archive(&sum, 1 << 20), dir.path()).unwrap(); // its size is not on record
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);
    assert_eq!(server.starts(), [0, 110_000, 220_000]);
}

#[test]
fn the_next_run_goes_on_with_the_part() {
    let (body, sum) = (body(), sha256(&body()));
    for (have, size, starts) in [
        (70_000, body.len(), &[70_000][..]),
        (body.len(), body.len(), &[]),        // whole: nothing is asked for
        (body.len(), 1 << 20, &[body.len()]), // whole, as the server says by 416
    ] {
        let (dir, server) = (tempfile::tempdir().unwrap(), Server::start(&body, POLITE));
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/set.bin.part"), &body[..have]).unwrap();
        get(&server.archive(&sum, size), dir.path()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);
        assert_eq!(server.starts(), starts);
    }
}

#[test]
fn a_server_without_ranges_starts_over() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let (server, sum) = (Server::start(&body, Manners { ranges: false, ..POLITE }), sha256(&body));
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    std::fs::write(dir.path().join("a/b/set.bin.part"), &body[..70_000]).unwrap();
    get(&server.archive(&sum, body.len()), dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);

    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&body, Manners { ranges: false, cut: 50_000, ..POLITE });
    refused(&server.archive(&sum, body.len()), dir.path(), "cut off after 50000 bytes");
    assert_eq!(server.starts(), [0, 50_000, 50_000, 50_000]); // in vain three times
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin.part")).unwrap(), body[..50_000]);
}

#[test]
fn a_wrong_checksum_removes_the_file() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let server = Server::start(&body, POLITE);
    refused(&server.archive(&sha256(b"other"), body.len()), dir.path(), "has the SHA-256");
    assert!(!dir.path().join("a/b/set.bin.part").exists());
    refused(&server.archive("5eb63bbbe01eeed093cb22bb8f5acdc3", body.len()), dir.path(), "has the MD5");
    let server = Server::start(b"hello world", POLITE);
    get(&server.archive("5eb63bbbe01eeed093cb22bb8f5acdc3", 11), dir.path()).unwrap(); // RFC 1321's, of these words
}

#[test]
fn what_is_no_archive_is_named_and_not_kept() {
    let page = b"\n<!DOCTYPE html><html>Please log in</html>";
    let sum = sha256(page);
    for (body, manners, size, says) in [
        (&page[..], POLITE, 100, "is a web page, not the archive"),
        (b"Moved", Manners { kind: "text/html; charset=utf-8", ..POLITE }, 100, "is a web page, not the archive"),
        (b"no", Manners { status: "404 Not Found", ..POLITE }, 100, "answers with status 404"),
        (&[7; 200], POLITE, 100, "longer than the 100 bytes"),
    ] {
        let (dir, server) = (tempfile::tempdir().unwrap(), Server::start(body, manners));
        refused(&server.archive(&sum, size), dir.path(), says);
        assert!(!dir.path().join("a").exists(), "{says}");
    }
}

#[test]
fn nobody_there_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/set.bin", listener.local_addr().unwrap());
    drop(listener);
    let sum = sha256(b"");
    let server = Server { address: url, starts: Arc::default() };
    refused(&server.archive(&sum, 9), tempfile::tempdir().unwrap().path(), "cannot be reached");
}

#[test]
fn a_redirection_leads_to_the_file_but_not_into_this_machine() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let sum = sha256(&body);
    let server = Server::start(&body, Manners { moved: Some("/elsewhere.bin"), cut: 200_000, ..POLITE });
    get(&server.archive(&sum, body.len()), dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);
    assert_eq!(server.starts(), [0, 200_000]);

    let (place, dir) = (concat!("file://", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), tempfile::tempdir().unwrap());
    let server = Server::start(&body, Manners { moved: Some(place), ..POLITE });
    refused(&server.archive(&sum, body.len()), dir.path(), "cannot be reached");
    let server = Server::start(&body, Manners { moved: Some("/set.bin"), ..POLITE }); // in a circle
    refused(&server.archive(&sum, body.len()), dir.path(), "redirects");
    assert!(!dir.path().join("a").exists());
}

#[test]
fn without_curl_the_package_is_named() {
    let started = fetch::Transfer::start("curl-that-nobody-installed", "http://127.0.0.1/", 0);
    let Err(fetch::FetchError::Permanent(what)) = started else { panic!("it started") };
    assert!(
        what.contains("`curl-that-nobody-installed`: install it") && what.contains("apt-get install curl"),
        "{what}"
    );
}

#[test]
fn by_hand_names_each_address_and_place() {
    let lines = by_hand(DataKind::StanfordDogs, Path::new("data"));
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0],
        "unpack http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar to get data/stanford-dogs/Images"
    );
    assert!(by_hand(DataKind::Mnist, Path::new("data"))[1].starts_with("put https://ossci"), "{lines:?}");
}
