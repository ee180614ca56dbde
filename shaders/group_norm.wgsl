// y = w·x̂ + b with x̂ = (x − μ)·r, r = 1/√(σ² + ε), and its gradients; formulas in tensor/src/ops/group_norm.rs.
// x is [batch, channels, plane]. A row is a group of neighbouring channels of one image.
// Grid: one workgroup for each row in `group_norm` and `group_norm_gradient`, one for each channel in `group_norm_sums`.

struct Params {
    batch: u32,
    channels: u32,
    groups: u32,
    plane: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// group_norm
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats_out: array<vec2<f32>>; // μ and r

// group_norm_gradient
@group(0) @binding(2) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

// group_norm_sums
@group(0) @binding(1) var<storage, read> stats_of: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> dresult: array<f32>;
@group(0) @binding(3) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(4) var<storage, read_write> dbias: array<f32>;

// The channel of a row's i-th number.
fn channel_of(i: u32, row: u32) -> u32 {
    return row % p.groups * (p.channels / p.groups) + i / p.plane;
}

@compute @workgroup_size(256)
fn group_norm(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
              @builtin(local_invocation_index) local: u32) {
    let row = min(group_number(group, groups), p.batch * p.groups - 1u);
    let size = p.channels / p.groups * p.plane;
    let first = row * size;
    // Sums of differences, first from one of the numbers and then from the mean, so that a large common offset does not cause rounding.
    let pivot = x[first];
    var sum = 0.0;
    for (var i = local; i < size; i += GROUP) {
        sum += x[first + i] - pivot;
    }
    let centre = pivot + summed(vec2(sum, 0.0), local).x / f32(size);
    var moments = vec2(0.0);
    for (var i = local; i < size; i += GROUP) {
        let d = x[first + i] - centre;
        moments += vec2(d, d * d);
    }
    moments = summed(moments, local) / f32(size);
    let mean = centre + moments.x;
    let invstd = 1.0 / sqrt(max(moments.y - moments.x * moments.x, 0.0) + p.eps);
    for (var i = local; i < size; i += GROUP) {
        let c = channel_of(i, row);
        y[first + i] = weight[c] * ((x[first + i] - mean) * invstd) + bias[c];
    }
    if local == 0u {
        stats_out[row] = vec2(mean, invstd);
    }
}

@compute @workgroup_size(256)
fn group_norm_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                       @builtin(local_invocation_index) local: u32) {
    let row = min(group_number(group, groups), p.batch * p.groups - 1u);
    let size = p.channels / p.groups * p.plane;
    let first = row * size;
    let mean = stats[row].x;
    let invstd = stats[row].y;
    var sums = vec2(0.0);
    for (var i = local; i < size; i += GROUP) {
        let g = weight[channel_of(i, row)] * dy[first + i];
        sums += g * vec2(1.0, (x[first + i] - mean) * invstd);
    }
    sums = summed(sums, local) / f32(size);
    for (var i = local; i < size; i += GROUP) {
        let g = weight[channel_of(i, row)] * dy[first + i];
        dx[first + i] = invstd * (g - sums.x - (x[first + i] - mean) * invstd * sums.y);
    }
}

@compute @workgroup_size(256)
fn group_norm_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                   @builtin(local_invocation_index) local: u32) {
    let channel = min(group_number(group, groups), p.channels - 1u);
    let row_of = channel / (p.channels / p.groups);
    var sums = vec2(0.0);
    for (var i = local; i < p.batch * p.plane; i += GROUP) {
        let image = i / p.plane;
        let at = (image * p.channels + channel) * p.plane + i % p.plane;
        let of_row = stats_of[image * p.groups + row_of];
        sums += dresult[at] * vec2((x[at] - of_row.x) * of_row.y, 1.0);
    }
    sums = summed(sums, local);
    if local == 0u && group_number(group, groups) < p.channels {
        dweight[channel] = sums.x;
        dbias[channel] = sums.y;
    }
}
