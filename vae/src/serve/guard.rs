//! The check that every request passes. Any web page that is open in the user's browser can send requests to 127.0.0.1; only
//! the server's own pages may get answers. The checks:
//!
//! - `Host` must be an address of this machine or `localhost`. A domain name is refused: its owner could let it point to
//!   127.0.0.1, and the browser would treat pages of that domain as belonging to this server (DNS rebinding). Any port is accepted,
//!   because tunnels change it.
//! - `Origin`, which browsers send with requests from scripts, must be the server's own: `http://` and the host.
//! - `Sec-Fetch-Site` must say that no other site's page sends the request, unless the user follows a link.
//!
//! The number of simultaneous requests and their duration are limited. Response headers forbid pages to load anything from
//! elsewhere, and other sites to show them in a frame.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The largest number of simultaneous requests.
const AT_ONCE: usize = 256;
/// The longest duration of a request, including its body.
const LONGEST: Duration = Duration::from_secs(60);

/// The headers of every response.
const SAID: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds the checks to the routes of a server at this address.
pub(super) fn guarded(pages: Router, address: IpAddr) -> Router {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    pages.layer(from_fn(move |request: Request, next: Next| {
        let room = room.clone();
        async move {
            let mut response = answer(request, next, address, &room).await;
            for (name, value) in SAID {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response
        }
    }))
}

async fn answer(request: Request, next: Next, address: IpAddr, room: &Semaphore) -> Response {
    if let Err(why) = admit(request.headers(), address) {
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let Ok(_place) = room.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try again").into_response();
    };
    let late = (StatusCode::REQUEST_TIMEOUT, "this took too long");
    timeout(LONGEST, next.run(request)).await.unwrap_or_else(|_| late.into_response())
}

/// Returns an error text if a request with these headers is refused.
fn admit(headers: &HeaderMap, address: IpAddr) -> Result<(), &'static str> {
    let word = |name: HeaderName| -> Result<Option<&str>, &'static str> {
        let mut values = headers.get_all(&name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| "a header is not text"),
            _ => Err("a header occurs twice"),
        }
    };
    let host = word(header::HOST)?.ok_or("the request has no Host header")?;
    if !is_ours(host, address) {
        return Err("this Host is not that of the page; open it by its address, such as http://127.0.0.1:PORT/");
    }
    if let Some(origin) = word(header::ORIGIN)?
        && !origin.strip_prefix("http://").is_some_and(|from| from.eq_ignore_ascii_case(host))
    {
        return Err("this Origin is not that of the page");
    }
    let [site, mode] = ["sec-fetch-site", "sec-fetch-mode"].map(HeaderName::from_static);
    match word(site)? {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) if word(mode)? == Some("navigate") => Ok(()),
        Some(_) => Err("the request comes from another site"),
    }
}

/// Whether a `Host` is an address of this machine, or a name that nobody else can own.
fn is_ours(host: &str, address: IpAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, "80"),
    };
    if port.parse::<u16>().is_err() {
        return false;
    }
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || !address.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn admits(pairs: &[(&'static str, &'static str)], address: [u8; 4]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        admit(&headers, Ipv4Addr::from(address).into()).is_ok()
    }

    const HERE: [u8; 4] = [127, 0, 0, 1];
    const ALL: [u8; 4] = [0, 0, 0, 0];

    #[test]
    fn a_host_is_an_address_or_localhost() {
        for host in ["127.0.0.1:8080", "localhost:80", "LOCALHOST:9", "[::1]:8080", "127.0.0.1", "[::1]"] {
            assert!(admits(&[("host", host)], HERE), "{host}");
        }
        for host in
            ["evil.example:8080", "192.168.1.2:8080", "127.0.0.1.evil.example", "localhost.", "", ":80", "127.0.0.1:x"]
        {
            assert!(!admits(&[("host", host)], HERE), "{host}");
        }
        assert!(admits(&[("host", "192.168.1.2:8080")], ALL));
        assert!(!admits(&[("host", "evil.example:8080")], ALL));
        assert!(!admits(&[], HERE));
        assert!(!admits(&[("host", "127.0.0.1:1"), ("host", "evil.example")], HERE));
    }

    #[test]
    fn an_origin_must_be_the_server_itself() {
        let host = ("host", "127.0.0.1:8080");
        assert!(admits(&[host, ("origin", "http://127.0.0.1:8080")], HERE));
        for origin in
            ["http://evil.example", "http://127.0.0.1:9090", "https://127.0.0.1:8080", "null", "127.0.0.1:8080"]
        {
            assert!(!admits(&[host, ("origin", origin)], HERE), "{origin}");
        }
    }

    #[test]
    fn requests_from_other_sites_are_refused_but_links_work() {
        let host = ("host", "127.0.0.1:8080");
        let asks = |site, mode| admits(&[host, ("sec-fetch-site", site), ("sec-fetch-mode", mode)], HERE);
        assert!(asks("same-origin", "cors") && asks("none", "navigate") && asks("cross-site", "navigate"));
        assert!(!asks("cross-site", "no-cors") && !asks("same-site", "cors"));
    }
}
