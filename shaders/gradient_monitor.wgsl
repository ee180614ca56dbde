// Checks before a step whether all gradients are finite, and computes their scale:  norm = √Σ g²,  factor = min(1, limit/(norm + 1e-6)).
// If the loss was scaled, both are divided by its scale; tensor/src/ops/gradient_monitor.rs says how the scale changes.
// Grid: 32 workgroups for each of up to seven gradients in `gradient_squares`, or up to 24 in `gradient_squares_many` where a kernel may
// use 25 buffers; one workgroup in `gradient_monitor`.

struct Squares {
    counts: array<vec4<u32>, 2>, // numbers of each gradient; 0 if there is none
    first: u32, // index of the first sum that this launch writes
}

struct ManySquares {
    counts: array<vec4<u32>, 6>,
    first: u32,
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

// What happened.
const TAKEN: f32 = 0.0;
const NON_FINITE: f32 = 1.0;
const SKIPPED: f32 = 2.0;
const GROWTH_INTERVAL: f32 = 2000.0; // steps until the loss scale doubles

@group(0) @binding(0) var<storage, read> g0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> g1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> g3: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> g4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> g5: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> g6: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> sums_out: array<f32>;
@group(1) @binding(0) var<uniform> squares: Squares;

@group(0) @binding(0) var<storage, read> many0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> many1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> many2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> many3: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> many4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> many5: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> many6: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> many7: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> many8: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> many9: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read> many10: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read> many11: array<vec4<f32>>;
@group(0) @binding(12) var<storage, read> many12: array<vec4<f32>>;
@group(0) @binding(13) var<storage, read> many13: array<vec4<f32>>;
@group(0) @binding(14) var<storage, read> many14: array<vec4<f32>>;
@group(0) @binding(15) var<storage, read> many15: array<vec4<f32>>;
@group(0) @binding(16) var<storage, read> many16: array<vec4<f32>>;
@group(0) @binding(17) var<storage, read> many17: array<vec4<f32>>;
@group(0) @binding(18) var<storage, read> many18: array<vec4<f32>>;
@group(0) @binding(19) var<storage, read> many19: array<vec4<f32>>;
@group(0) @binding(20) var<storage, read> many20: array<vec4<f32>>;
@group(0) @binding(21) var<storage, read> many21: array<vec4<f32>>;
@group(0) @binding(22) var<storage, read> many22: array<vec4<f32>>;
@group(0) @binding(23) var<storage, read> many23: array<vec4<f32>>;
@group(0) @binding(24) var<storage, read_write> many_sums_out: array<f32>;
@group(1) @binding(0) var<uniform> many_squares: ManySquares;

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read> watched0: array<f32>;
@group(0) @binding(2) var<storage, read> watched1: array<f32>;
@group(0) @binding(3) var<storage, read> watched2: array<f32>;
@group(0) @binding(4) var<storage, read> watched3: array<f32>;
@group(0) @binding(5) var<storage, read> watched4: array<f32>;
@group(0) @binding(6) var<storage, read> watched5: array<f32>;
@group(0) @binding(7) var<storage, read_write> state: array<f32>; // rows: norm, factor, what happened, loss scale, six watched numbers, steps since it changed, 0
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

fn many_quad(which: u32, i: u32) -> vec4<f32> {
    switch which {
        case 0u: { return many0[i]; }
        case 1u: { return many1[i]; }
        case 2u: { return many2[i]; }
        case 3u: { return many3[i]; }
        case 4u: { return many4[i]; }
        case 5u: { return many5[i]; }
        case 6u: { return many6[i]; }
        case 7u: { return many7[i]; }
        case 8u: { return many8[i]; }
        case 9u: { return many9[i]; }
        case 10u: { return many10[i]; }
        case 11u: { return many11[i]; }
        case 12u: { return many12[i]; }
        case 13u: { return many13[i]; }
        case 14u: { return many14[i]; }
        case 15u: { return many15[i]; }
        case 16u: { return many16[i]; }
        case 17u: { return many17[i]; }
        case 18u: { return many18[i]; }
        case 19u: { return many19[i]; }
        case 20u: { return many20[i]; }
        case 21u: { return many21[i]; }
        case 22u: { return many22[i]; }
        default: { return many23[i]; }
    }
}

// The squares of the i-th four numbers. Padding behind the last number does not belong to the gradient.
fn square(g: vec4<f32>, i: u32, count: u32) -> f32 {
    let known = select(vec4(0.0), g, vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(count));
    return dot(known, known);
}

@compute @workgroup_size(256)
fn gradient_squares(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                 @builtin(local_invocation_index) local: u32) {
    let number = group_number(group, groups);
    let which = number / WORKGROUPS_PER_GRADIENT;
    let count = squares.counts[which / 4u][which % 4u];
    var sum = 0.0;
    for (var i = number % WORKGROUPS_PER_GRADIENT * GROUP + local; 4u * i < count; i += WORKGROUPS_PER_GRADIENT * GROUP) {
        sum += square(quad(which, i), i, count);
    }
    sum = summed(vec2(sum, 0.0), local).x;
    if local == 0u {
        sums_out[squares.first + number] = sum;
    }
}

@compute @workgroup_size(256)
fn gradient_squares_many(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                         @builtin(local_invocation_index) local: u32) {
    let number = group_number(group, groups);
    let which = number / WORKGROUPS_PER_GRADIENT;
    let count = many_squares.counts[which / 4u][which % 4u];
    var sum = 0.0;
    for (var i = number % WORKGROUPS_PER_GRADIENT * GROUP + local; 4u * i < count; i += WORKGROUPS_PER_GRADIENT * GROUP) {
        sum += square(many_quad(which, i), i, count);
    }
    sum = summed(vec2(sum, 0.0), local).x;
    if local == 0u {
        many_sums_out[many_squares.first + number] = sum;
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
    var scale = state[p.last_row * ROW_LEN + 3u]; // 0: the loss is not scaled
    var steps = state[p.last_row * ROW_LEN + 10u];
    let unscale = select(1.0, scale, scale > 0.0);
    let norm = sqrt(sum) / unscale;
    var watched = array<f32, MAX_WATCHED>(watched0[0], watched1[0], watched2[0], watched3[0], watched4[0], watched5[0]);
    var factor = 1.0;
    if norm > p.limit {
        factor = p.limit / (norm + 1e-6);
    }
    factor /= unscale;
    var losses_fine = true;
    for (var i = 0u; i < p.known; i++) {
        losses_fine = losses_fine && finite(watched[i]);
    }
    var happened = NON_FINITE;
    if state[p.last_row * ROW_LEN + 2u] != NON_FINITE && losses_fine {
        if finite(sum) {
            happened = TAKEN;
        } else if scale > 1.0 {
            happened = SKIPPED;
        }
    }
    if happened == SKIPPED {
        scale *= 0.5;
        steps = 0.0;
    } else if scale > 0.0 {
        steps += 1.0;
        if steps == GROWTH_INTERVAL {
            scale *= 2.0;
            steps = 0.0;
        }
    }
    var rows = array<u32, 2>(p.row, p.last_row);
    for (var i = 0u; i < 2u; i++) {
        let at = rows[i] * ROW_LEN;
        state[at] = norm;
        state[at + 1u] = factor;
        state[at + 2u] = happened;
        state[at + 3u] = scale;
        state[at + 10u] = steps;
        for (var j = 0u; j < MAX_WATCHED; j++) {
            state[at + 4u + j] = select(0.0, watched[j], j < p.known);
        }
    }
}
