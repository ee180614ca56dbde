//! A command that serves a page, and what is asked of it over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A command at work; killed when it is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// An answer: its status, its headers in small letters, its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Served {
    /// Starts a command, and waits until it says where its page is.
    pub(crate) fn start(mut command: Command) -> Served {
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY"); // opens no browser
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, rest) = line.split_once("http://")?;
            rest.split_once('/')?.0.parse().ok()
        });
        std::thread::spawn(move || lines.for_each(drop)); // a full pipe would stop it
        match address {
            Some(address) => Served { child, address },
            None => panic!("it says no address; it ended with {:?}", child.wait()),
        }
    }

    /// Sends bytes, and reads the answer to its end; None if there is none.
    pub(crate) fn send(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes); // it may answer, and close, before it has heard everything
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let headers = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = headers.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, headers, body: answer[end + 4..].to_vec() })
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// A request as a browser makes it: `GET /path`, more headers, a body.
    pub(crate) fn ask(&self, what: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let own = self.address.to_string();
        let mut head = format!("{what} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        let host = [("Host", own.as_str())].into_iter().filter(|_| !headers.iter().any(|(name, _)| *name == "Host"));
        host.chain(headers.iter().copied()).for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        self.send(&[head.as_bytes(), b"\r\n", body].concat()).unwrap_or_else(|| panic!("no answer to {what}"))
    }

    /// A path's body; its status is 200.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        let answer = self.ask(&format!("GET {path}"), &[], b"");
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        answer.body
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(mut self) -> ExitStatus {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap()
    }

    /// Waits for its own end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What every page refuses: foreign Hosts and Origins, paths that climb, what is no HTTP.
pub(crate) fn refuses_strangers(served: &Served, root: &Path) {
    let own = format!("http://{}", served.address);
    assert_eq!(served.ask("GET /", &[("Origin", &own)], b"").status, 200);
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Host", "evil.example"),
        ("Host", "evil.example:80\r\nOrigin: http://evil.example:80"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        let answer = served.ask("GET /", &[(name, value)], b"");
        assert_eq!(answer.status, 403, "{name}: {value}");
        assert!(answer.body.len() < 200, "{}", String::from_utf8_lossy(&answer.body));
    }
    // A file that is there, by every way of writing its path.
    let file = root.join("run/config.toml").canonicalize().unwrap().display().to_string();
    for path in [
        "/../run/config.toml",
        "/run/config.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/page.js/../../config.toml",
        "//etc/passwd",
        &file,
    ] {
        assert_eq!(served.ask(&format!("GET {path}"), &[], b"").status, 404, "{path}");
    }
    assert_eq!(served.ask("POST /", &[], b"x").status, 405);
    let long = [&[b'x'; 100_000][..], b"\r\n\r\n"].concat();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", &long, b"\0\r\n\r\n"] {
        if let Some(answer) = served.send(bytes) {
            assert!((400..500).contains(&answer.status), "{bytes:?}: {}", answer.status);
        }
    }
    drop(served.connect()); // says nothing
    let _ = served.connect().write_all(b"GET / HTT"); // and leaves in the middle of a word
    let page = served.ask("GET /", &[], b"");
    assert!(page.headers.contains("content-security-policy: default-src 'self'"), "{}", page.headers);
}
