//! The program `vae-mpi`: `mpirun -n 4 vae-mpi train …` is `vae train …` by four processes, and so is `evaluate`. docs/cluster.md
//! describes it.
//!
//! An error that all processes have is printed by the first of them. A process that has an error of its own prints it and ends all
//! the others. So does a process that waits for another one which shows no sign of life.

#![forbid(unsafe_code)]

mod mpi_rank;

use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;

use mpi::Threading;
use vae::Error;
use vae::distributed::Communicator;
use vae::distributed::background::background;
use vae::session::Ranks;

use crate::mpi_rank::MpiRank;

/// The stack of the thread that trains: as much as a main thread usually has.
const STACK: usize = 8 << 20;

const USAGE: &str = "\
Usage: mpirun -n PROCESSES vae-mpi train [OPTIONS]
       mpirun -n PROCESSES vae-mpi evaluate [OPTIONS] RUN

train trains one model by several processes, which share the shards of each batch (train.shards). evaluate computes the scores of
a run by several processes. Their number does not change the results. The options are those of vae train and vae evaluate;
vae-mpi train --help shows them.";

fn main() -> ExitCode {
    gpu::prepare_process(); // before MPI starts threads: it sets environment variables
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let first = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
        eprintln!("error: MPI is running in this process already; start it with mpirun -n PROCESSES vae-mpi train");
        return ExitCode::FAILURE;
    };
    let rank = match MpiRank::new(universe.world()) {
        Ok(rank) => rank,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let is_train = match &*first {
        "train" => true,
        "evaluate" => false,
        other => {
            let asks = ["--help", "-h"].contains(&other);
            if rank.rank() == 0 {
                eprintln!("{}{USAGE}", if asks { "" } else { "error: vae-mpi has two commands, train and evaluate\n" });
            }
            return ExitCode::from(if asks { 0 } else { 2 });
        }
    };
    words.remove(0);
    let panics = rank.panic_words();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        eprintln!("{panics}");
    }));
    let [threads, place, on_machine] = rank.share_of_machine();
    // This thread exchanges messages, and another one trains meanwhile. A panic of that one becomes an error here, because the end of
    // the process would not tell the others.
    let (handle, jobs) = background(rank.rank(), rank.size());
    let train = move || {
        let ranks = Ranks { communicator: Rc::new(handle), threads: Some(threads as u64), place, on_machine };
        vae::cli::run_on_ranks(is_train, words, &ranks)
    };
    let trainer = match std::thread::Builder::new().name("train".into()).stack_size(STACK).spawn(train) {
        Ok(trainer) => trainer,
        Err(error) => rank.end_all(&format!("error: rank {}: a thread cannot be started: {error}", rank.rank()), 1, 0),
    };
    jobs.run(&rank);
    let error = match trainer.join() {
        Ok(Ok(code)) => return code,
        Ok(Err(error)) => error,
        Err(_) => anyhow::anyhow!("the program has a bug (see above)"),
    };
    let (line, code) = vae::cli::describe_error(&error);
    // Divergence, and ranks that differ, are found by all together.
    if matches!(error.downcast_ref::<Error>(), Some(Error::Diverged(_) | Error::Rank(_))) {
        if rank.rank() == 0 {
            eprintln!("error: {line}");
        }
        return ExitCode::from(code);
    }
    let line = match rank.rank() {
        0 => format!("error: {line}"),
        number => format!("error: rank {number} on {}: {line}", rank.host()),
    };
    rank.end_all(&line, code, 0)
}
