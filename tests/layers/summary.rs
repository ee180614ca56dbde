//! The table of any module: paths, kinds, shapes and parameters of its layers.

use autograd::{Param, Var};
use nn::{BatchNorm2d, Conv2d, ForwardContext, Layer, Linear, Sequential};
use tensor::{Generator, Tensor};

struct Outer {
    scale: Param,
    body: Option<Box<dyn Layer>>,
    parts: Vec<Linear>,
}
nn::module!(Outer { scale, body, parts });

fn outer() -> Outer {
    let rng = &mut Generator::new(1);
    let body = Sequential::new(vec![Box::new(Conv2d::new(rng, 3, 4, 3)), Box::new(BatchNorm2d::new(4))]);
    let parts = vec![Linear::new(rng, 4, 2), Linear::new(rng, 4, 2)];
    Outer { scale: Param::new(Tensor::ones([5])), body: Some(Box::new(body)), parts }
}

fn run(outer: &Outer, ctx: &ForwardContext) {
    let body = outer.body.as_ref().expect("a body");
    let y = body.forward(&Var::constant(Tensor::zeros([2, 3, 6, 6])), ctx).global_avg_pool2d();
    assert!(!outer.parts[0].forward(&y, ctx).has_gradient(), "no history");
}

#[test]
fn a_summary_lists_layers_with_parameters() {
    let outer = outer();
    nn::freeze(&outer.parts, true);
    let summary = nn::summary(&outer, |ctx| run(&outer, ctx));
    let rows: Vec<_> = summary.layers.iter().map(|l| (l.name.as_str(), l.kind, l.parameters, l.trainable)).collect();
    let expected = [
        ("", Some("Outer"), 5, 5),
        ("body.0", Some("Conv2d"), 112, 112),
        ("body.1", Some("BatchNorm2d"), 8, 8),
        ("parts.0", Some("Linear"), 10, 0),
        ("parts.1", Some("Linear"), 10, 0),
    ];
    assert_eq!(rows, expected);
    let shapes: Vec<_> = summary.layers.iter().map(|layer| layer.output.map(|shape| shape.to_vec())).collect();
    let maps = Some(vec![2, 4, 4, 4]);
    assert_eq!(shapes, [None, maps.clone(), maps, Some(vec![2, 2]), None], "the last one was not run");
    assert_eq!((summary.parameters(), summary.trainable(), summary.bytes()), (145, 125, 580));
}

#[test]
fn a_summary_is_a_table() {
    let outer = outer();
    let expected = "\
layer    kind         output        parameters
         Outer                               5
body.0   Conv2d       [2, 4, 4, 4]         112
body.1   BatchNorm2d  [2, 4, 4, 4]           8
parts.0  Linear       [2, 2]                10
parts.1  Linear                             10
145 parameters, 145 of them trainable, 580 bytes";
    assert_eq!(nn::summary(&outer, |ctx| run(&outer, ctx)).to_string(), expected);
}
