//! Every solution is accepted. Every task, as it is in the repository, is refused for the reason that the list states.

use std::collections::BTreeSet;
use std::fs;

use super::list::ALL;
use super::{find, line_of_task, verdict};

#[test]
fn every_solution_is_accepted() {
    for exercise in &ALL {
        assert_eq!(verdict(exercise.solution), Ok(()), "the solution of {}", exercise.name);
    }
}

/// A reader who solves exercises in a clone breaks this test, and no other.
#[test]
fn every_task_is_refused_for_the_stated_reason() {
    for exercise in &ALL {
        let message = verdict(exercise.task).expect_err(exercise.name);
        assert!(message.contains(exercise.refused), "{}: {message}, not {}", exercise.name, exercise.refused);
    }
}

#[test]
fn every_chapter_has_three_exercises_and_every_file_is_listed() {
    for chapter in 1..=12 {
        let count = ALL.iter().filter(|exercise| exercise.chapter() == chapter).count();
        assert!(count >= 3, "chapter {chapter} has {count}");
    }
    let listed: BTreeSet<String> = ALL.iter().map(|exercise| exercise.name.to_owned()).collect();
    assert_eq!(listed.len(), ALL.len(), "two exercises have one name");
    for folder in ["tasks", "solutions"] {
        let path = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        let names = fs::read_dir(path).expect("the folder").map(|entry| entry.expect("an entry").file_name());
        let stems = names.map(|name| name.to_string_lossy().trim_end_matches(".rs").to_owned());
        assert_eq!(stems.filter(|stem| stem != "mod").collect::<BTreeSet<_>>(), listed, "{folder}");
    }
}

#[test]
fn every_exercise_has_a_title_a_gap_or_a_bug_and_a_hint() {
    for exercise in &ALL {
        assert!(exercise.title().len() > 10, "{} has no title", exercise.name);
        assert!(exercise.hint().len() > 20, "{} has no hint", exercise.name);
        let gap = exercise.task_text.contains("todo!(");
        assert_eq!(gap, exercise.refused.starts_with("not yet implemented"), "{}", exercise.name);
        let bug = exercise.task_text.contains("// BUG");
        assert!(gap != bug, "{} needs either a gap or a line that is marked as a bug", exercise.name);
    }
}

#[test]
fn a_panic_is_explained_and_its_line_is_told_if_a_task_has_it() {
    fn less() -> super::Verdict {
        let two: usize = std::hint::black_box(2);
        assert_eq!(two - 3, 0);
        Ok(())
    }
    let message = verdict(less).unwrap_err();
    assert_eq!(message, "attempt to subtract with overflow: a usize cannot be negative");
    assert_eq!(line_of_task("exercises/check/../tasks/c05_size.rs", 10), Some(10));
    assert_eq!(line_of_task("tensor/src/ops/matmul.rs", 24), None);
}

#[test]
fn a_name_is_found_by_its_part() {
    assert_eq!(find("c01_shapes").map(|exercise| exercise.name), Ok("c01_shapes"));
    assert_eq!(find("shapes").map(|exercise| exercise.name), Ok("c01_shapes"));
    assert!(find("c01").is_err_and(|message| message.contains("write the whole name")));
    assert!(find("nothing").is_err_and(|message| message.contains("there is no exercise")));
}
