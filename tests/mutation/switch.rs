//! A module of an instrumented crate that says which mutant is switched on: the one whose number is in MUTANT. With
//! MUTATION_TRACE, the name of a file, all are off, and the number of each mutant whose place is reached is appended to that
//! file, once.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

const TRACED: u32 = u32::MAX - 1;
const UNREAD: u32 = u32::MAX;
static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);
static SEEN: [AtomicBool; 30000] = [const { AtomicBool::new(false) }; 30000];

#[inline(always)]
pub(crate) fn on(id: u32) -> bool {
    let active = ACTIVE.load(Relaxed);
    active == id || active >= TRACED && read(id)
}

#[cold]
fn read(id: u32) -> bool {
    if ACTIVE.load(Relaxed) == UNREAD {
        let traced = std::env::var_os("MUTATION_TRACE").is_some();
        let active = std::env::var("MUTANT").map_or(0, |id| id.parse().unwrap());
        ACTIVE.store(if traced { TRACED } else { active }, Relaxed);
    }
    let active = ACTIVE.load(Relaxed);
    let seen = &SEEN[id as usize];
    if active == TRACED && !seen.load(Relaxed) && !seen.swap(true, Relaxed) {
        let path = std::env::var_os("MUTATION_TRACE").unwrap();
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.unwrap().write_all(format!("{id}\n").as_bytes()).unwrap();
    }
    active == id
}
