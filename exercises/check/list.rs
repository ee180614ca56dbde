//! The list of the exercises, in the order of the book.

use crate::help::Verdict;
use crate::{solutions, tasks};

/// One exercise: a file in `tasks` with a gap or a bug, and the file of the same name in `solutions`.
pub struct Exercise {
    /// The name of both files. It begins with the number of the chapter.
    pub name: &'static str,
    /// The check of the task, as the reader left it.
    pub task: fn() -> Verdict,
    /// The same check of the solution, for the tests.
    #[cfg_attr(not(test), expect(dead_code))]
    pub solution: fn() -> Verdict,
    /// What the check says about the untouched task, or a part of it, for the tests.
    #[cfg_attr(not(test), expect(dead_code))]
    pub refused: &'static str,
    /// The text of the task's file.
    pub task_text: &'static str,
    /// The text of the solution's file.
    pub solution_text: &'static str,
}

const CHAPTERS: [&str; 12] = [
    "ch01-numbers-and-tensors.md",
    "ch02-building-autodiff.md",
    "ch03-gradient-checks.md",
    "ch04-learning.md",
    "ch05-convolution.md",
    "ch06-autoencoder.md",
    "ch07-probability.md",
    "ch08-elbo.md",
    "ch09-vae-in-one-file.md",
    "ch10-beta.md",
    "ch11-latents.md",
    "ch12-beyond.md",
];

impl Exercise {
    /// The number of the chapter, from 1.
    pub fn chapter(&self) -> usize {
        self.name[1..3].parse().expect("a name begins with c and two digits")
    }

    /// The chapter's file in the book.
    pub fn chapter_file(&self) -> &'static str {
        CHAPTERS[self.chapter() - 1]
    }

    /// The first line of the task.
    pub fn title(&self) -> &'static str {
        self.task_text.lines().next().unwrap_or_default().trim_start_matches("//! ")
    }

    /// The comment at the top of the solution.
    pub fn hint(&self) -> String {
        let lines = self.solution_text.lines().take_while(|line| line.starts_with("//!"));
        lines.map(|line| line.trim_start_matches("//!").trim()).collect::<Vec<_>>().join(" ").replacen("Hint: ", "", 1)
    }
}

/// Each exercise is a file, the functions that its check receives, and what the check says about the untouched task.
macro_rules! exercises {
    ($($name:ident($($function:ident),+): $refused:literal;)*) => {
        pub static ALL: [Exercise; [$(stringify!($name)),*].len()] = [$(Exercise {
            name: stringify!($name),
            task: || tasks::$name::check($(tasks::$name::$function),+),
            solution: || tasks::$name::check($(solutions::$name::$function),+),
            refused: $refused,
            task_text: include_str!(concat!("../tasks/", stringify!($name), ".rs")),
            solution_text: include_str!(concat!("../solutions/", stringify!($name), ".rs")),
        }),*];
    };
}

exercises! {
    c01_shapes(shapes): "not yet implemented";
    c01_centre(centre_columns): "not yet implemented";
    c01_brightness(brightness): "not yet implemented";
    c02_slope(slope): "not yet implemented";
    c02_rules(mul_rule, tanh_rule): "not yet implemented";
    c02_twice(backward): "x is used twice";
    c03_difference(central_difference): "not yet implemented";
    c03_step_size(best_exponent): "not yet implemented";
    c03_own_rule(softsign): "not yet implemented";
    c04_descent(descend): "not yet implemented";
    c04_linear(linear): "not yet implemented";
    c04_adam(adam): "not yet implemented";
    c05_size(output_size): "not yet implemented";
    c05_convolve(convolve): "not yet implemented";
    c05_transpose(transpose): "not yet implemented";
    c06_parameters(parameters): "not yet implemented";
    c06_sum(reconstruction): "one image of 4 pixels is 0.25";
    c06_r2(r2): "not yet implemented";
    c07_density(log_normal): "not yet implemented";
    c07_expectation(mean_and_error): "not yet implemented";
    c07_kl(kl): "not yet implemented";
    c07_bayes(posterior): "not yet implemented";
    c08_sign(loss): "push it away without end";
    c08_logvar(kl): "so a variance of 1.000, is";
    c08_draw(draw): "not yet implemented";
    c08_bound(elbo): "not yet implemented";
    c09_bce(bce): "not yet implemented";
    c09_statistics(training_pass): "the running statistics are used";
    c09_evaluation(code): "the same image has two different codes";
    c10_effective_beta(effective_beta): "not yet implemented";
    c10_free_bits(free_bits): "not yet implemented";
    c10_in_use(latents_in_use): "not yet implemented";
    c11_traversal(traversal): "not yet implemented";
    c11_total_correlation(total_correlation): "not yet implemented";
    c11_log_q(log_q): "a KL is never negative";
    c12_importance(bound): "not yet implemented";
    c12_nearest(nearest): "not yet implemented";
    c12_straight_through(straight_through): "not yet implemented";
    c12_flow(log_density): "not yet implemented";
    c12_diffusion(jump): "not yet implemented";
}
