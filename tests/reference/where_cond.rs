//! y = a where c ≠ 0, b elsewhere.

use crate::Array;
use crate::binary::broadcast;

/// `a` where the condition is not 0, `b` elsewhere, with broadcasting.
pub fn where_cond(c: &Array, a: &Array, b: &Array) -> Array {
    // Pairs of a and b, numbered, so that each choice is one of two numbers.
    let pairs = broadcast(a, b, |_, _| 0.0);
    let (a, b) = (broadcast(a, &pairs, |a, _| a), broadcast(b, &pairs, |b, _| b));
    let whole = broadcast(c, &pairs, |c, _| c);
    let [a, b] = [a, b].map(|x| broadcast(&x, &whole, |x, _| x));
    let choice = |((&c, &a), &b)| if c != 0.0 { a } else { b };
    Array::new(whole.shape, whole.data.iter().zip(&a.data).zip(&b.data).map(choice).collect())
}
