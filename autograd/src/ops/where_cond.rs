//! y = a where c ≠ 0, b elsewhere:   da = dy where c ≠ 0, 0 elsewhere;   db = 0 where c ≠ 0, dy elsewhere.

use tensor::Tensor;

use crate::var::Var;

impl Var {
    /// PyTorch's `where(condition, a, b)`: `a` where the condition is not 0 and `b` elsewhere, element by element, with broadcasting.
    /// Comparisons, such as [`gt`](Var::gt), give conditions.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn where_cond(condition: &Tensor, a: &Var, b: &Var) -> Var {
        let y = condition.where_cond(a.value(), b.value());
        let (of_a, of_b) = (condition.clone(), condition.clone());
        Var::record("where_cond", y, |edge| {
            edge.to(a, move |dy| of_a.where_cond(dy, &dy.zeros_like()));
            edge.to(b, move |dy| of_b.where_cond(&dy.zeros_like(), dy));
        })
    }
}
