//! The laws of differentiation itself: how gradients add up, what a history holds and lets go, that nobody's tensor changes
//! under his hands, that a wrong rule is found out, that a misuse is blamed on who made it, and that the number of threads changes
//! no bit.
#![forbid(unsafe_code)]

mod accumulation;
mod blame;
mod history;
mod refusal;
mod sharing;
mod threads;
