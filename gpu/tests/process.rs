//! What `prepare_process` changes in a process with one thread, seen from outside: this program runs itself, and the child opens a
//! GPU. It answers `--list` like any test.

use std::process::{Command, Output};

use gpu::{Context, Options};
use pollster::block_on;

const NAME: &str = "only_what_a_user_cannot_act_on_is_kept_off_stderr";

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("child") => child(),
        Some("--list") => println!("{NAME}: test"),
        Some(filter) if !filter.starts_with('-') && !NAME.contains(filter) => {
            println!("\ntest result: ok. 0 passed; 0 failed")
        }
        _ => {
            parent();
            println!("\ntest {NAME} ... ok\n\ntest result: ok. 1 passed; 0 failed");
        }
    }
}

fn parent() {
    let plain = run(&[]);
    let told = String::from_utf8_lossy(&plain.stderr);
    assert!(told.contains("a panic of the program"), "{told}");
    if cfg!(target_os = "linux") {
        assert!(silenced(&plain) && !told.contains("XDG_RUNTIME_DIR"), "{told}");
        assert!(!silenced(&run(&[("XDG_RUNTIME_DIR", "/run")])), "there is a desktop session");
        assert!(!silenced(&run(&[("THREADS", "1")])), "another thread may read the environment");
    }
}

/// Runs the child with these environment variables.
fn run(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("child").env_remove("XDG_RUNTIME_DIR").env_remove("NODEVICE_SELECT").env_remove("RUST_BACKTRACE");
    let output = command.envs(variables.iter().copied()).output().expect("the child runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn silenced(child: &Output) -> bool {
    String::from_utf8_lossy(&child.stdout).contains("silenced: true")
}

fn child() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let other = std::env::var_os("THREADS").map(|_| std::thread::spawn(move || wait.recv()));
    gpu::prepare_process();
    println!("silenced: {}", std::env::var_os("NODEVICE_SELECT").is_some());
    block_on(Context::open(Options::default())).unwrap_or_else(|error| panic!("{error}"));
    assert!(std::panic::catch_unwind(|| panic!("a panic of the program")).is_err());
    drop((done, other));
}
