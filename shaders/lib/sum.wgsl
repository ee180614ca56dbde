// Two sums over all invocations of a workgroup of GROUP, in a fixed order.

var<workgroup> lanes: array<vec2<f32>, GROUP>;

fn summed(mine: vec2<f32>, local: u32) -> vec2<f32> {
    workgroupBarrier(); // other invocations may still read the previous sums
    lanes[local] = mine;
    workgroupBarrier();
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            lanes[local] += lanes[local + half];
        }
        workgroupBarrier();
    }
    return lanes[0];
}
