//! The laws of differentiation itself: how gradients add up, what a history holds and lets go, that nobody's tensor changes
//! under his hands, that a wrong rule is found out, and that the number of threads changes no bit.
#![forbid(unsafe_code)]

mod accumulation;
mod history;
mod refusal;
mod sharing;
mod threads;
