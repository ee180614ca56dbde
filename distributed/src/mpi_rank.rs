//! A rank of MPI's world. Messages are point to point, because MPI's own sums promise no order.
//!
//! The thread that has started MPI makes all calls (`MPI_THREAD_FUNNELED`), while another one trains (`main.rs`).
//!
//! Waiting never blocks inside MPI. It is a loop that asks whether the message is there, and meanwhile exchanges signs of life: a
//! rank that makes progress says so once a second. If a rank is silent for too long, the first one that notices prints a line that
//! names it, and ends all processes. A rank that is merely slow goes on giving signs, so it is waited for.

use std::cell::{Cell, RefCell};
use std::fs;
use std::time::{Duration, Instant};

use mpi::request::Request;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, Destination, Source};
use vae::distributed::{Communicator, Job};
use vae::{Error, Result};

/// The tags of messages and of signs of life.
const MESSAGE: i32 = 1;
const ALIVE: i32 = 2;
/// The time between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// How long a rank may be silent, unless `VAE_MPI_TIMEOUT` says otherwise.
const SILENCE: Duration = Duration::from_secs(20);
/// How long a rank may be silent before the first sign of life: it reads the images.
const START: Duration = Duration::from_secs(3600);
/// A message is sent in pieces of this size. MPI counts them with 32 bits.
const PIECE: usize = 1 << 28;
/// How long to ask MPI again and again before sleeping in between. The thread that trains needs the processor.
const EAGER: Duration = Duration::from_micros(100);

/// This process among those that MPI has started.
pub(crate) struct MpiRank {
    world: SimpleCommunicator,
    rank: usize,
    size: usize,
    /// The names of the machines, by rank.
    hosts: RefCell<Vec<String>>,
    silence: Duration,
    /// When each rank was heard last, and how much longer than usual it may be silent.
    heard: RefCell<Vec<(Instant, Duration)>>,
    /// When this rank has given its last sign, and whether the next one ends a pause, or is the first one.
    sent: Cell<Instant>,
    pausing: Cell<bool>,
    /// The longest time between two signs of this rank without a pause.
    longest: Cell<Duration>,
}

impl MpiRank {
    pub(crate) fn new(world: SimpleCommunicator) -> Result<MpiRank> {
        let silence = match std::env::var("VAE_MPI_TIMEOUT") {
            Err(_) => SILENCE,
            Ok(text) => match text.parse::<u32>() {
                Ok(seconds) if seconds > 0 => Duration::from_secs(seconds.into()),
                _ => {
                    return Err(Error::config(format!(
                        "VAE_MPI_TIMEOUT={text}: it must be a whole number of seconds, at least 1"
                    )));
                }
            },
        };
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let now = Instant::now();
        Ok(MpiRank {
            world,
            rank,
            size,
            hosts: RefCell::new(vec!["its machine".to_owned(); size]),
            silence,
            heard: RefCell::new(vec![(now, START); size]),
            sent: Cell::new(now),
            pausing: Cell::new(true),
            longest: Cell::new(Duration::ZERO),
        })
    }

    /// The name of this rank's machine.
    pub(crate) fn host(&self) -> String {
        mpi::environment::processor_name().unwrap_or_else(|_| "its machine".to_owned())
    }

    /// What is printed after a panic.
    pub(crate) fn panic_words(&self) -> String {
        format!("error: rank {} on {} has failed (see above)", self.rank, self.host())
    }

    /// Returns the threads that this rank should use, so that all ranks of a machine together use every processor once; the number of
    /// this rank on its machine; and the number of ranks there. If MPI has bound a rank to processors of its own, it has all of these.
    pub(crate) fn share_of_machine(&self) -> [usize; 3] {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let own = format!("{}\n{}", self.host(), allowed.unwrap_or_default().trim());
        let all = self.gather(own.as_bytes()).and_then(|all| self.share(&all.join(&b'\0'))).unwrap_or_default();
        let all = String::from_utf8_lossy(&all).into_owned();
        let all: Vec<&str> = all.split('\0').collect();
        let host = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        *self.hosts.borrow_mut() = all.iter().map(|text| host(text)).collect();
        let sharing = all.iter().filter(|text| **text == own).count().max(1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let on_this_host = |texts: &[&str]| texts.iter().filter(|text| host(text) == host(&own)).count();
        let place = on_this_host(all.get(..self.rank).unwrap_or_default());
        [(cores / sharing).max(1), place, on_this_host(&all).max(1)]
    }

    /// Prints a line and ends all processes. Of several ranks with something to say, the rank `first` speaks at once. The others wait
    /// for a time that grows with their number, and are ended meanwhile, unless the first one has nothing to say.
    pub(crate) fn end_all(&self, line: &str, code: u8, first: usize) -> ! {
        if self.rank != first {
            std::thread::sleep(Duration::from_secs(3) + Duration::from_millis(50) * self.rank.min(60) as u32);
        }
        eprintln!("{line}");
        self.world.abort(code.max(1).into())
    }

    /// Waits until a request has ended.
    fn wait<'a, D: ?Sized, S: mpi::request::Scope<'a>>(&self, mut request: Request<'a, D, S>) {
        let start = Instant::now();
        let mut checked = start;
        loop {
            match request.test() {
                Ok(_) => return,
                Err(again) => request = again,
            }
            let now = Instant::now();
            match now - start < EAGER {
                true => std::thread::yield_now(),
                // Longer sleeps for longer waits: a message is noticed at most a twentieth later than it comes.
                false => {
                    std::thread::sleep(((now - start) / 20).clamp(Duration::from_micros(50), Duration::from_millis(1)))
                }
            }
            if now - checked > Duration::from_millis(100) {
                checked = now;
                self.beat(Duration::ZERO);
                self.check_others();
            }
        }
    }

    /// Gives a sign of life if the last one is old, and hears those of others.
    fn beat(&self, pause: Duration) {
        let seconds = [pause.as_secs() as u32];
        let (was_pausing, silent) = (self.pausing.replace(!pause.is_zero()), self.sent.get().elapsed());
        if !was_pausing {
            self.longest.set(self.longest.get().max(silent));
        }
        // The end of a pause is told at once.
        if was_pausing || !pause.is_zero() || silent >= BEAT {
            self.sent.set(Instant::now());
            for rank in (0..self.size).filter(|&rank| rank != self.rank) {
                self.world.process_at_rank(rank as i32).send_with_tag(&seconds[..], ALIVE);
            }
        }
        while let Some(status) = self.world.any_process().immediate_probe_with_tag(ALIVE) {
            let (from, mut pause) = (status.source_rank(), [0_u32]);
            self.world.process_at_rank(from).receive_into_with_tag(&mut pause[..], ALIVE);
            self.heard.borrow_mut()[from as usize] = (Instant::now(), Duration::from_secs(pause[0].into()));
        }
    }

    /// Ends all processes if one has been silent for too long. A shard may take longer than the limit; then this rank was silent, too.
    fn check_others(&self) {
        let limit = self.silence.max(4 * self.longest.get());
        for (rank, (heard, pause)) in self.heard.borrow().iter().enumerate() {
            let silent = heard.elapsed();
            if rank != self.rank && silent > limit + *pause {
                let host = &self.hosts.borrow()[rank];
                let line = format!(
                    "error: rank {rank} on {host} has made no progress for {:.0} seconds, so all processes end; go on from the last checkpoint with --resume (VAE_MPI_TIMEOUT sets the seconds)",
                    silent.as_secs_f64()
                );
                self.end_all(&line, 1, usize::from(rank == 0));
            }
        }
    }
}

impl Communicator for MpiRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        let process = self.world.process_at_rank(to as i32);
        for piece in bytes.chunks(PIECE) {
            mpi::request::scope(|scope| self.wait(process.immediate_send_with_tag(scope, piece, MESSAGE)));
        }
        Ok(())
    }

    fn receive(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        let process = self.world.process_at_rank(from as i32);
        for piece in bytes.chunks_mut(PIECE) {
            mpi::request::scope(|scope| self.wait(process.immediate_receive_into_with_tag(scope, piece, MESSAGE)));
        }
        Ok(())
    }

    fn exchange(&self, to: usize, outgoing: &[u8], from: usize, incoming: &mut [u8]) -> Result<()> {
        let (to, from) = (self.world.process_at_rank(to as i32), self.world.process_at_rank(from as i32));
        // The lengths may differ, so one may have more pieces than the other.
        let pieces = outgoing.len().max(incoming.len()).div_ceil(PIECE);
        let (mut sent, mut received) = (outgoing.chunks(PIECE), incoming.chunks_mut(PIECE));
        for _ in 0..pieces {
            mpi::request::scope(|scope| {
                let receiving =
                    received.next().map(|piece| from.immediate_receive_into_with_tag(scope, piece, MESSAGE));
                let sending = sent.next().map(|piece| to.immediate_send_with_tag(scope, piece, MESSAGE));
                receiving.into_iter().for_each(|request| self.wait(request));
                sending.into_iter().for_each(|request| self.wait(request));
            });
        }
        Ok(())
    }

    fn start(&self, job: Job) {
        job(self);
    }

    fn alive(&self, pause: Duration) {
        if self.size > 1 {
            self.beat(pause);
        }
    }
}
