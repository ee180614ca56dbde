//! The folder of a run: taken by one process of many, written whole, and left as it was found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn an_unused_folder_is_removed_and_a_used_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    drop(Folder::prepare(&path).unwrap());
    assert!(!dir.path().join("a").exists());
    let mut folder = Folder::prepare(&path).unwrap();
    folder.write(LAST, b"1").unwrap();
    drop(folder);
    assert!(path.join(LAST).exists());
    assert_eq!(Folder::prepare(&path).unwrap_err().exit_code(), 2);
}

/// Runs `body` six times at once, each with its number.
fn six_at_once(body: impl Fn(usize) + Sync) {
    let start = std::sync::Barrier::new(6);
    std::thread::scope(|threads| {
        for i in 0..6 {
            let (start, body) = (&start, &body);
            threads.spawn(move || {
                start.wait();
                body(i);
            });
        }
    });
}

/// In every second batch, five of the six leave the folder as it is.
#[test]
fn of_six_that_ask_for_one_folder_at_once_one_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    for batch in 0..200 {
        let path = dir.path().join(format!("{batch}/runs/a"));
        let (holders, winners) = (AtomicUsize::new(0), AtomicUsize::new(0));
        six_at_once(|i| match Folder::prepare(&path) {
            Ok(mut folder) => {
                assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "batch {batch}: two have the folder");
                if batch % 2 == 0 || i == 5 {
                    folder.write(LAST, b"1").unwrap();
                    winners.fetch_add(1, Ordering::SeqCst);
                }
                holders.fetch_sub(1, Ordering::SeqCst);
            }
            Err(error) => {
                let (text, said) = (error.to_string(), ["another process uses this folder", "contains a run already"]);
                assert!(said.iter().any(|said| text.contains(said)) && text.contains("--out"), "batch {batch}: {text}");
            }
        });
        let winners = winners.into_inner();
        assert!(winners == 1 || batch % 2 == 1 && winners == 0, "batch {batch}: {winners} winners");
        assert_eq!(path.join(LAST).exists(), winners == 1, "batch {batch}");
    }
}

#[test]
fn six_that_ask_for_a_new_name_at_once_get_six_names() {
    let dir = tempfile::tempdir().unwrap();
    for batch in 0..200 {
        let path = dir.path().join(format!("{batch}/runs/a"));
        let (names, all_have_one) = (Mutex::new(Vec::new()), std::sync::Barrier::new(6));
        six_at_once(|_| {
            let folder = Folder::prepare_numbered(&path);
            names.lock().unwrap().push(folder.as_ref().map(|folder| folder.path().to_owned()).unwrap_or_default());
            all_have_one.wait();
        });
        let mut names = names.into_inner().unwrap();
        names.sort();
        let expected = ["a", "a-2", "a-3", "a-4", "a-5", "a-6"].map(|name| path.with_file_name(name));
        assert_eq!(names, expected, "batch {batch}");
    }
}

/// Each takes the folder and removes it again at once. So it is often removed between another's steps.
#[test]
fn six_that_take_and_leave_a_folder_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (path, holders) = (dir.path().join("runs/a"), AtomicUsize::new(0));
    six_at_once(|_| {
        for _ in 0..1500 {
            match Folder::prepare(&path) {
                Ok(folder) => {
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two have the folder");
                    assert!(path.is_dir(), "it is gone");
                    holders.fetch_sub(1, Ordering::SeqCst);
                    drop(folder);
                }
                Err(error) => assert!(error.to_string().contains("another process uses this folder"), "{error}"),
            }
        }
    });
}

#[test]
fn a_name_that_exists_is_not_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::create_dir(&path).unwrap();
    assert_eq!(Folder::prepare_numbered(&path).unwrap().path(), dir.path().join("a-2"));
}

#[cfg(unix)]
#[test]
fn a_folder_that_another_process_locked_first_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut slow = Folder::open_unlocked(&dir.path().join("a"));
    slow.create().unwrap();
    let quick = Folder::prepare(slow.path()).unwrap();
    assert!(!slow.lock());
    drop(slow);
    assert!(quick.path().is_dir());
}

/// Between opening and locking a folder, another process may remove it, and a third may make a new one.
#[cfg(unix)]
#[test]
fn a_folder_that_was_removed_before_it_was_locked_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    for made_again in [false, true] {
        fs::create_dir(&path).unwrap();
        let opened = File::open(&path).unwrap();
        fs::remove_dir(&path).unwrap();
        let third = made_again.then(|| Folder::prepare(&path).unwrap());
        assert!(matches!(lock_opened(opened, &path), Locking::Gone), "made again: {made_again}");
        drop(third);
    }
}

/// A process that gives up removes the folders that it made, except one that another process has taken since.
#[cfg(unix)]
#[test]
fn a_folder_above_that_another_process_holds_stays() {
    let dir = tempfile::tempdir().unwrap();
    let inner = Folder::prepare(&dir.path().join("grid/a")).unwrap();
    let outer = Folder::prepare(&dir.path().join("grid")).unwrap();
    drop(inner);
    assert!(dir.path().join("grid").is_dir() && !dir.path().join("grid/a").exists());
    drop(outer);
}

#[test]
fn files_are_complete_and_partial_files_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::prepare(dir.path()).unwrap();
    folder.write("a", b"old").unwrap();
    folder.write("a", b"new").unwrap();
    fs::write(dir.path().join("b.part"), b"half").unwrap();
    drop(folder);
    let folder = Folder::open(dir.path()).unwrap();
    assert_eq!(folder.files(), [("a".to_owned(), 3)]);
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new");
}

#[test]
fn a_run_without_a_checkpoint_starts_again_and_a_user_s_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    fs::create_dir(dir.path().join("checkpoints")).unwrap();
    fs::write(dir.path().join("checkpoints/last.safetensors.part"), b"half").unwrap();
    fs::write(&config, format!("{CONFIG_HEAD} 0.1.0, and so on")).unwrap();
    assert_eq!(Folder::prepare(dir.path()).unwrap().files().len(), 1, "the configuration alone");
    fs::write(&config, "theirs = true").unwrap();
    assert_eq!(Folder::prepare(dir.path()).unwrap_err().exit_code(), 2);
    fs::remove_file(&config).unwrap();
    for name in [METRICS, LAST, BEST] {
        fs::write(dir.path().join(name), b"").unwrap();
        assert_eq!(Folder::prepare(dir.path()).unwrap_err().exit_code(), 2, "{name}");
        fs::remove_file(dir.path().join(name)).unwrap();
    }
}

#[test]
fn a_path_inside_a_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"").unwrap();
    let error = Folder::prepare(&dir.path().join("f/run")).unwrap_err();
    assert!(error.exit_code() == 1 && error.to_string().contains("--out"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_folder_is_locked_against_other_processes() {
    let dir = tempfile::tempdir().unwrap();
    let held = Folder::open(dir.path()).unwrap();
    assert!(Folder::open(dir.path()).unwrap_err().to_string().contains("another process"));
    drop(held);
    Folder::open(dir.path()).unwrap();
}

/// A process that removes its empty folder has it for a moment. Another one waits so long.
#[cfg(unix)]
#[test]
fn a_folder_that_is_held_for_a_moment_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let moment = Duration::from_millis(5);
    let waits = || {
        let held = Folder::prepare(&path).unwrap();
        std::thread::scope(|threads| {
            threads.spawn(move || {
                std::thread::sleep(moment);
                drop(held);
            });
            let start = Instant::now();
            Folder::prepare(&path).is_ok() && start.elapsed() >= moment / 2
        })
    };
    // On a busy machine the moment may be long.
    assert!((0..50).any(|_| waits()));
}

#[test]
fn a_folder_that_does_not_exist_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let error = Folder::open(&dir.path().join("a")).unwrap_err().to_string();
    assert!(error.contains("another process has removed this folder"), "{error}");
}

#[test]
fn a_new_file_is_whole_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/file");
    write_new(&path, b"first").unwrap();
    let error = write_new(&path, b"second").unwrap_err().to_string();
    assert!(error.contains("file: cannot be written"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

/// Of the processes that train together one writes, and the others follow.
#[test]
fn a_folder_that_is_followed_is_never_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::follow(dir.path());
    folder.write(LAST, b"1").unwrap();
    assert!(folder.is_followed() && !dir.path().join(LAST).exists());
    let mut folder = Folder::open_unlocked(dir.path());
    folder.write(LAST, b"1").unwrap();
    assert!(!folder.is_followed() && dir.path().join(LAST).exists());
}

#[test]
fn whether_a_file_can_be_written_is_known_without_writing_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open_unlocked(dir.path());
    folder.check_writable("prior.safetensors").unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let gone = Folder::open_unlocked(&dir.path().join("gone"));
    let error = gone.check_writable("prior.safetensors").unwrap_err().to_string();
    assert!(error.contains("gone/prior.safetensors: cannot be written"), "{error}");
}
