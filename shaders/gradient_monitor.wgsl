// Checks before a step whether all gradients are finite, and computes their scale:  norm = √Σ g²,  factor = min(1, limit/(norm + 1e-6)).
// Grid: 32 workgroups for each of up to seven gradients in `gradient_squares`, one workgroup in `gradient_monitor`.

struct Squares {
    quads: array<vec4<u32>, 2>, // of each gradient; 0 if there is none
    counts: array<vec4<u32>, 2>, // numbers of each
    first: u32, // index of the first sum that this launch writes
}

struct Params {
    sums: u32, // the number of sums
    row: u32, // of the history, for this step's result
    last_row: u32, // of the history, with the latest result
    known: u32, // the number of watched numbers
    limit: f32, // the largest number without clipping
}

const WORKGROUPS_PER_GRADIENT: u32 = 32u; // workgroups per gradient
const MAX_WATCHED: u32 = 6u; // watched numbers
const ROW_LEN: u32 = 12u; // numbers per row

@group(0) @binding(0) var<storage, read> g0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> g1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> g3: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> g4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> g5: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> g6: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> sums_out: array<f32>;
@group(1) @binding(0) var<uniform> squares: Squares;

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read> watched0: array<f32>;
@group(0) @binding(2) var<storage, read> watched1: array<f32>;
@group(0) @binding(3) var<storage, read> watched2: array<f32>;
@group(0) @binding(4) var<storage, read> watched3: array<f32>;
@group(0) @binding(5) var<storage, read> watched4: array<f32>;
@group(0) @binding(6) var<storage, read> watched5: array<f32>;
@group(0) @binding(7) var<storage, read_write> state: array<f32>; // rows: norm, factor, non_finite, 0, six watched numbers, 0, 0
@group(1) @binding(0) var<uniform> p: Params;

fn quad(which: u32, i: u32) -> vec4<f32> {
    switch which {
        case 0u: { return g0[i]; }
        case 1u: { return g1[i]; }
        case 2u: { return g2[i]; }
        case 3u: { return g3[i]; }
        case 4u: { return g4[i]; }
        case 5u: { return g5[i]; }
        default: { return g6[i]; }
    }
}

@compute @workgroup_size(256)
fn gradient_squares(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                 @builtin(local_invocation_index) local: u32) {
    let number = group_number(group, groups);
    let which = number / WORKGROUPS_PER_GRADIENT;
    let quads = squares.quads[which / 4u][which % 4u];
    let count = squares.counts[which / 4u][which % 4u];
    var sum = 0.0;
    for (var i = number % WORKGROUPS_PER_GRADIENT * GROUP + local; i < quads; i += WORKGROUPS_PER_GRADIENT * GROUP) {
        // Padding behind the last number does not belong to the gradient.
        let inside = vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(count);
        let g = select(vec4(0.0), quad(which, i), inside);
        sum += dot(g, g);
    }
    sum = summed(vec2(sum, 0.0), local).x;
    if local == 0u {
        sums_out[squares.first + number] = sum;
    }
}

// WGSL may assume that there are no infinities and NaNs, so this looks at the bits.
fn finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size(256)
fn gradient_monitor(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < p.sums; i += GROUP) {
        sum += sums[i];
    }
    sum = summed(vec2(sum, 0.0), local).x;
    if local > 0u {
        return;
    }
    let norm = sqrt(sum);
    var watched = array<f32, MAX_WATCHED>(watched0[0], watched1[0], watched2[0], watched3[0], watched4[0], watched5[0]);
    var factor = 1.0;
    if norm > p.limit {
        factor = p.limit / (norm + 1e-6);
    }
    var fine = finite(sum);
    for (var i = 0u; i < p.known; i++) {
        fine = fine && finite(watched[i]);
    }
    let bad = select(1.0, state[p.last_row * ROW_LEN + 2u], fine);
    var rows = array<u32, 2>(p.row, p.last_row);
    for (var i = 0u; i < 2u; i++) {
        let at = rows[i] * ROW_LEN;
        state[at] = norm;
        state[at + 1u] = factor;
        state[at + 2u] = bad;
        state[at + 3u] = 0.0;
        for (var j = 0u; j < MAX_WATCHED; j++) {
            state[at + 4u + j] = select(0.0, watched[j], j < p.known);
        }
    }
}
