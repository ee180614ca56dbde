// Elements chosen by index. Indices are whole numbers stored as f32.
//   gather: y[i] = x[i, index[i]],  index_select: y[i, …] = x[index[i], …]
// The adjoint of gather writes dy[i] to that place, and 0 elsewhere. The adjoint of index_select adds the rows of dy that came from a
// row, in order. An index out of range gives NaN, which the training loop detects;
// the CPU panics instead.
// Grid: one invocation for each number that is written.

struct Params {
    count: u32, // of numbers written
    bound: u32, // indices are below this; index_select_gradient: the number of indices
    width: u32, // index_select: elements of a row
    nan: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// The index as a whole number. A negative number or a fraction gives an index that is out of range.
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

@compute @workgroup_size(256)
fn index_select_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                         @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.count {
        return;
    }
    let row = item / p.width;
    var sum = 0.0;
    for (var i = 0u; i < p.bound; i++) {
        if whole(index[i]) == row {
            sum += x[i * p.width + item % p.width];
        }
    }
    y[item] = sum;
}
