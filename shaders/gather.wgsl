// Elements chosen by index, whole numbers held as f32:  pick: y[i] = x[i, index[i]],  rows: y[i, …] = x[index[i], …].
// The adjoint of pick writes dy[i] there, among zeros. An index outside gives NaN, which the training loop refuses; the CPU
// refuses the index itself.
// Grid: an invocation a number written.

struct Params {
    count: u32, // of numbers written
    bound: u32, // indices are below
    width: u32, // rows: elements of a row
    nan: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// The index as a whole number; one that no bound is above where it is negative or a fraction.
fn whole(index: f32) -> u32 {
    return select(0xffffffffu, u32(max(index, 0.0)), index >= 0.0 && floor(index) == index);
}

@compute @workgroup_size(256)
fn gather(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i >= p.count {
        return;
    }
    let chosen = whole(index[i]);
    if chosen < p.bound {
        y[i] = x[i * p.bound + chosen];
    } else {
        y[i] = p.nan;
    }
}

@compute @workgroup_size(256)
fn gather_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                 @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.count {
        return;
    }
    let i = item / p.bound;
    y[item] = select(0.0, x[i], whole(index[i]) == item % p.bound);
}

@compute @workgroup_size(256)
fn index_select(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.count {
        return;
    }
    let chosen = whole(index[item / p.width]);
    if chosen < p.bound {
        y[item] = x[chosen * p.width + item % p.width];
    } else {
        y[item] = p.nan;
    }
}
