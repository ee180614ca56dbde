// y = act(w·x̂ + b + residual) with x̂ = (x − μ)/√(σ² + ε), and its gradients; formulas in tensor/src/ops/batch_norm.rs.
// x is [batch, channels, plane].
// Grid: one invocation for each number in `batch_norm` and `batch_norm_gradient`, one workgroup for each channel in the others.
// `batch_norm_train` and `batch_norm_gradient_train` do everything in one launch. An invocation holds its numbers of the channel in
// registers, so a channel must have at most 16,384 numbers, and `plane` must be a multiple of four.

struct Params {
    batch: u32,
    channels: u32,
    plane: u32, // height · width
    eps: f32,
    slope: f32, // of the activation below 0
}

struct Stats {
    batch: u32,
    channels: u32,
    plane: u32,
    momentum: f32, // of the running averages
    unbiased: f32, // M/(M − 1)
}

struct Train {
    batch: u32,
    channels: u32,
    plane: u32,
    momentum: f32,
    unbiased: f32,
    eps: f32,
    slope: f32,
}

override ACTIVE: bool = false; // an activation follows
override RESIDUAL: bool = false; // a residual is added
override OF_BATCH: bool = true; // μ and σ² are the batch's own
override RUNNING: bool = false; // running averages are updated

override QUADS: u32 = 0u; // quads of numbers that an invocation holds

@group(0) @binding(0) var<storage, read> x: array<T0>;
@group(1) @binding(0) var<uniform> p: Params;

// batch_norm_stats
@group(0) @binding(1) var<storage, read_write> mean_out: array<f32>;
@group(0) @binding(2) var<storage, read_write> var_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<f32>; // any buffers if they are not updated
@group(0) @binding(4) var<storage, read_write> running_var: array<f32>;
@group(1) @binding(0) var<uniform> stats: Stats;

// batch_norm, batch_norm_gradient
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<T5>; // any buffer if there is none
@group(0) @binding(6) var<storage, read_write> y: array<T6>;

// batch_norm_sums, the first half of the gradient: g = dy·act′, db = Σ g, dw = Σ g·x̂
@group(0) @binding(3) var<storage, read> result: array<T3>;
@group(0) @binding(4) var<storage, read> dresult: array<T4>;
@group(0) @binding(5) var<storage, read_write> g_out: array<T5>;
@group(0) @binding(6) var<storage, read_write> dweight_out: array<f32>;
@group(0) @binding(7) var<storage, read_write> dbias_out: array<f32>;

// batch_norm_gradient, the second half: dx
@group(0) @binding(4) var<storage, read> g: array<T4>;
@group(0) @binding(5) var<storage, read> dweight: array<f32>;
@group(0) @binding(6) var<storage, read> dbias: array<f32>;
@group(0) @binding(7) var<storage, read_write> dx: array<T7>;

// batch_norm_train
@group(0) @binding(0) var<storage, read> x4: array<vec4<T0>>;
@group(0) @binding(1) var<storage, read> weight_in: array<f32>;
@group(0) @binding(2) var<storage, read> bias_in: array<f32>;
@group(0) @binding(3) var<storage, read> residual4: array<vec4<T3>>; // any buffer if there is none
@group(0) @binding(4) var<storage, read_write> y4: array<vec4<T4>>;
@group(0) @binding(5) var<storage, read_write> train_mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> train_var: array<f32>;
@group(0) @binding(7) var<storage, read_write> train_running_mean: array<f32>; // any buffers if they are not updated
@group(0) @binding(8) var<storage, read_write> train_running_var: array<f32>;
@group(1) @binding(0) var<uniform> train: Train;

// batch_norm_gradient_train
@group(0) @binding(3) var<storage, read> weight_too: array<f32>;
@group(0) @binding(4) var<storage, read> result4: array<vec4<T4>>;
@group(0) @binding(5) var<storage, read> dresult4: array<vec4<T5>>;
@group(0) @binding(6) var<storage, read_write> dx4: array<vec4<T6>>;
@group(0) @binding(7) var<storage, read_write> g4: array<vec4<T7>>; // dresidual; any buffer unless RESIDUAL
@group(0) @binding(8) var<storage, read_write> dweight_too: array<f32>;
@group(0) @binding(9) var<storage, read_write> dbias_too: array<f32>;

// The index of a channel's i-th number.
fn place(i: u32, channel: u32, channels: u32, plane: u32) -> u32 {
    return (i / plane * channels + channel) * plane + i % plane;
}

fn channel_of(item: u32) -> u32 {
    return item / p.plane % p.channels;
}

@compute @workgroup_size(256)
fn batch_norm_stats(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) local: u32) {
    let channel = min(group_number(group, groups), stats.channels - 1u);
    let count = stats.batch * stats.plane;
    // Sums of differences, first from one of the numbers and then from the mean, so that a large common offset does not cause rounding.
    let pivot = f32(x[place(0u, channel, stats.channels, stats.plane)]);
    var sum = 0.0;
    for (var i = local; i < count; i += GROUP) {
        sum += f32(x[place(i, channel, stats.channels, stats.plane)]) - pivot;
    }
    let centre = pivot + summed(vec2(sum, 0.0), local).x / f32(count);
    var moments = vec2(0.0);
    for (var i = local; i < count; i += GROUP) {
        let d = f32(x[place(i, channel, stats.channels, stats.plane)]) - centre;
        moments += vec2(d, d * d);
    }
    moments = summed(moments, local) / f32(count);
    if local == 0u && group_number(group, groups) < stats.channels {
        let mean = centre + moments.x;
        let variance = moments.y - moments.x * moments.x;
        mean_out[channel] = mean;
        var_out[channel] = variance;
        if RUNNING {
            let kept = 1.0 - stats.momentum;
            running_mean[channel] = kept * running_mean[channel] + stats.momentum * mean;
            running_var[channel] = kept * running_var[channel] + stats.momentum * (stats.unbiased * variance);
        }
    }
}

@compute @workgroup_size(256)
fn batch_norm(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
              @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.batch * p.channels * p.plane {
        return;
    }
    let c = channel_of(item);
    let invstd = 1.0 / sqrt(variance[c] + p.eps);
    var sum = weight[c] * ((f32(x[item]) - mean[c]) * invstd) + bias[c];
    if RESIDUAL {
        sum += f32(residual[item]);
    }
    if ACTIVE {
        // The product is NaN for −∞ with slope 0, where the result is 0. NaN itself stays.
        let below = select(p.slope * sum, 0.0, p.slope == 0.0);
        sum = select(sum, below, sum < 0.0);
    }
    y[item] = T6(sum);
}

@compute @workgroup_size(256)
fn batch_norm_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                   @builtin(local_invocation_index) local: u32) {
    let channel = min(group_number(group, groups), p.channels - 1u);
    let count = p.batch * p.plane;
    let invstd = 1.0 / sqrt(variance[channel] + p.eps);
    var sums = vec2(0.0);
    for (var i = local; i < count; i += GROUP) {
        let at = place(i, channel, p.channels, p.plane);
        var g = f32(dresult[at]);
        if ACTIVE {
            g *= select(p.slope, 1.0, f32(result[at]) > 0.0);
            g_out[at] = T5(g);
        }
        sums += g * vec2((f32(x[at]) - mean[channel]) * invstd, 1.0);
    }
    sums = summed(sums, local);
    if local == 0u {
        dweight_out[channel] = sums.x;
        dbias_out[channel] = sums.y;
    }
}

@compute @workgroup_size(256)
fn batch_norm_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                       @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.batch * p.channels * p.plane {
        return;
    }
    let c = channel_of(item);
    let invstd = 1.0 / sqrt(variance[c] + p.eps);
    var inner = f32(g[item]);
    if OF_BATCH {
        let normal = (f32(x[item]) - mean[c]) * invstd;
        inner -= (dbias[c] + normal * dweight[c]) / f32(p.batch * p.plane);
    }
    dx[item] = T7(weight[c] * invstd * inner);
}

const HELD: u32 = 16u; // the most quads of numbers that an invocation holds

// The index of a channel's i-th quad of numbers.
fn quad_place(i: u32, channel: u32, channels: u32, quarter: u32) -> u32 {
    return (i / quarter * channels + channel) * quarter + i % quarter;
}

fn total(x: vec4<f32>) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}

@compute @workgroup_size(256)
fn batch_norm_train(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) local: u32) {
    let channel = min(group_number(group, groups), train.channels - 1u);
    let quarter = train.plane / 4u;
    let quads = train.batch * quarter;
    let count = f32(4u * quads);
    let pivot = f32(x4[channel * quarter].x);
    var held: array<vec4<f32>, HELD>; // differences from the pivot; 0 past the end
    var sum = 0.0;
    for (var i = 0u; i < QUADS; i++) {
        let at = i * GROUP + local;
        held[i] = vec4(0.0);
        if at < quads {
            held[i] = vec4<f32>(x4[quad_place(at, channel, train.channels, quarter)]) - pivot;
        }
        sum += total(held[i]);
    }
    let centre = summed(vec2(sum, 0.0), local).x / count;
    var moments = vec2(0.0);
    for (var i = 0u; i < QUADS; i++) {
        if i * GROUP + local < quads {
            let d = held[i] - centre;
            moments += vec2(total(d), total(d * d));
        }
    }
    moments = summed(moments, local) / count;
    let mean = centre + moments.x; // less the pivot
    let variance = moments.y - moments.x * moments.x;
    let scale = weight_in[channel] / sqrt(variance + train.eps);
    let bias = bias_in[channel];
    if group_number(group, groups) >= train.channels {
        return;
    }
    for (var i = 0u; i < QUADS; i++) {
        let at = i * GROUP + local;
        if at < quads {
            let to = quad_place(at, channel, train.channels, quarter);
            var y = scale * (held[i] - mean) + bias;
            if RESIDUAL {
                y += vec4<f32>(residual4[to]);
            }
            if ACTIVE {
                // As in batch_norm: not NaN for −∞ with slope 0.
                let below = select(train.slope * y, vec4(0.0), train.slope == 0.0);
                y = select(y, below, y < vec4(0.0));
            }
            y4[to] = vec4<T4>(y);
        }
    }
    if local == 0u {
        train_mean[channel] = pivot + mean;
        train_var[channel] = variance;
        if RUNNING {
            let kept = 1.0 - train.momentum;
            train_running_mean[channel] = kept * train_running_mean[channel] + train.momentum * (pivot + mean);
            train_running_var[channel] = kept * train_running_var[channel] + train.momentum * (train.unbiased * variance);
        }
    }
}

@compute @workgroup_size(256)
fn batch_norm_gradient_train(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                             @builtin(local_invocation_index) local: u32) {
    let channel = min(group_number(group, groups), p.channels - 1u);
    let used = group_number(group, groups) < p.channels;
    let quarter = p.plane / 4u;
    let quads = p.batch * quarter;
    let invstd = 1.0 / sqrt(variance[channel] + p.eps);
    var held: array<vec4<f32>, HELD>; // g
    var sums = vec2(0.0);
    for (var i = 0u; i < QUADS; i++) {
        let n = i * GROUP + local;
        if n < quads {
            let at = quad_place(n, channel, p.channels, quarter);
            held[i] = vec4<f32>(dresult4[at]);
            if ACTIVE {
                held[i] *= select(vec4(p.slope), vec4(1.0), vec4<f32>(result4[at]) > vec4(0.0));
            }
            sums += vec2(total(held[i] * ((vec4<f32>(x4[at]) - mean[channel]) * invstd)), total(held[i]));
        }
    }
    sums = summed(sums, local);
    if local == 0u && used {
        dweight_too[channel] = sums.x;
        dbias_too[channel] = sums.y;
    }
    let part = sums / f32(4u * quads);
    for (var i = 0u; i < QUADS; i++) {
        let n = i * GROUP + local;
        if n < quads && used {
            let at = quad_place(n, channel, p.channels, quarter);
            if RESIDUAL {
                g4[at] = vec4<T7>(held[i]);
            }
            let normal = (vec4<f32>(x4[at]) - mean[channel]) * invstd;
            dx4[at] = vec4<T6>(weight_too[channel] * invstd * (held[i] - (part.y + normal * part.x)));
        }
    }
}
