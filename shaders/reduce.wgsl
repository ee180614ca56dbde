// y[o, part, i] = Σ or max over s of x[o, s, i], for the s of one part of the reduced dimension. Long sums are cut
// into parts, and the sums of the parts are added up by another launch. There are no atomics, so the bits are the same each time.
// Grid: one workgroup for each number in `reduce_rows`, one invocation in `reduce_columns`.
// A row consists of planes of neighbours: one plane if inner = 1, or one from each image for the sum of a channel over images and pixels.

struct Params {
    outer: u32,
    size: u32, // of the reduced dimension
    inner: u32,
    part: u32, // the length of a part of it
    parts: u32,
    plane: u32, // of reduce_rows: neighbours in memory
}

override MAXIMUM: bool = false;
override ACCUMULATE: bool = false; // add to what y has: `reduce_columns`

@group(0) @binding(0) var<storage, read> x: array<T0>;
@group(0) @binding(1) var<storage, read_write> y: array<T1>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> lanes: array<f32, GROUP>;

fn start() -> f32 {
    return select(0.0, -3.4028234e38, MAXIMUM);
}

fn join(a: f32, b: f32) -> f32 {
    if MAXIMUM {
        return select(a, b, b > a);
    }
    return a + b;
}

@compute @workgroup_size(256)
fn reduce_rows(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
               @builtin(local_invocation_index) local: u32) {
    let number = group_number(group, groups);
    let row = number / p.parts;
    let first = (number % p.parts) * p.part;
    let end = select(0u, min(first + p.part, p.size), row < p.outer);
    var joined = start();
    for (var s = first + local; s < end; s += GROUP) {
        joined = join(joined, f32(x[(s / p.plane * p.outer + row) * p.plane + s % p.plane]));
    }
    lanes[local] = joined;
    workgroupBarrier();
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            lanes[local] = join(lanes[local], lanes[local + half]);
        }
        workgroupBarrier();
    }
    if local == 0u && row < p.outer {
        y[number] = T1(lanes[0]);
    }
}

fn number(i: u32) -> f32 {
    return f32(x[i]);
}

@compute @workgroup_size(256)
fn reduce_columns(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                  @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.outer * p.parts * p.inner {
        return;
    }
    let i = item % p.inner;
    let part = item / p.inner % p.parts;
    let o = item / p.inner / p.parts;
    let first = part * p.part;
    let end = min(first + p.part, p.size);
    var joined = start();
    // Four loads are under way at once.
    var s = first;
    for (; s + 4u <= end; s += 4u) {
        let at = (o * p.size + s) * p.inner + i;
        let next = vec4(number(at), number(at + p.inner), number(at + 2u * p.inner), number(at + 3u * p.inner));
        joined = join(join(join(join(joined, next.x), next.y), next.z), next.w);
    }
    for (; s < end; s++) {
        joined = join(joined, number((o * p.size + s) * p.inner + i));
    }
    if ACCUMULATE {
        joined += f32(y[item]);
    }
    y[item] = T1(joined);
}
