//! The diagram of a history names every operation once, with its shape, and every arrow.

use autograd::{Param, Var, checkpoint};
use tensor::Tensor;

#[test]
fn a_diamond_has_four_boxes_and_four_arrows() {
    let x = Var::leaf(Tensor::ones([2, 1]));
    let w = Param::new(Tensor::ones([3]));
    let a = x.exp();
    let y = &a * w.var() + &a;
    let expected = "graph LR\n  n0[\"leaf [2, 1]\"]\n  n1[\"weight [3]\"]\n  n2([\"exp [2, 1]\"])\n  n3([\"mul [2, 3]\"])\n  \
                    n4([\"add [2, 3]\"])\n  n0 --> n2\n  n2 --> n3\n  n1 --> n3\n  n3 --> n4\n  n2 --> n4\n";
    assert_eq!(y.graph(&[("weight".to_owned(), w)]), expected);
}

#[test]
fn what_has_no_history_has_no_boxes() {
    let constant = Var::constant(Tensor::ones([2]));
    assert_eq!(constant.exp().graph(&[]), "graph LR\n");
    let x = Var::leaf(Tensor::ones([]));
    let y = x.square();
    y.backward();
    assert_eq!(y.graph(&[]), "graph LR\n  n0[\"square []\"]\n", "its history is used up");
    let hidden = checkpoint(|x| x.exp(), &x);
    assert!(hidden.graph(&[]).contains("checkpoint []"));
}

#[test]
fn a_long_chain_is_drawn_without_recursion() {
    let start = Var::leaf(Tensor::ones([]));
    let end = (0..50_000).fold(start, |x, _| x.add_scalar(1.0));
    assert_eq!(end.graph(&[]).lines().count(), 1 + 50_001 + 50_000);
}
