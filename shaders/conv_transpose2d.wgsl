// The adjoint of a convolution: the transposed convolution, and the gradient of a convolution's input.
//   x[n, c, q] = bias[c] + Σ_{o, t} w[o, c, t]·y[n, o, i]   over all i, t with s·i + t − p = q
// Pixels with the same q mod s form a phase; there are s² phases. They use the same taps, every s-th tap of the kernel. So each
// phase is a matrix product with rows c, columns (n, r) where q = s·r + phase, and k = (o, τ) where t = t₀ + s·τ.
// Grid: one workgroup for each tile (lib/tile.wgsl). Layers are phases and, within a phase, parts of the sum with their own results.

struct Params {
    batch: u32,
    cin: u32, // channels of x
    cout: u32, // channels of y
    height: u32, // of x
    width: u32,
    to_height: u32, // of y
    to_width: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride: u32,
    padding: u32,
    parts: u32, // of the sum
}

// The sizes of common kernels are constants, which makes divisions by them cheap. 0: the sizes are in the parameters.
override KERNEL: u32 = 0u;
override STRIDE: u32 = 0u;
override BIASED: bool = false;
override ACCUMULATE: bool = false; // add to what x has

@group(0) @binding(0) var<storage, read> w: array<T0>;
@group(0) @binding(1) var<storage, read> y: array<T1>;
@group(0) @binding(2) var<storage, read> bias: array<T2>; // any buffer if there is none
@group(0) @binding(3) var<storage, read_write> x: array<T3>;
@group(1) @binding(0) var<uniform> p: Params;

// One dimension of a phase.
struct Phase {
    phase: u32, // q mod s
    first_tap: u32, // t₀
    taps: u32, // the number of taps
    places: u32, // the number of r
    shift: u32, // i = r + shift − τ
}

// The phase of the invocation, which is the same for the whole workgroup.
var<private> rows: Phase;
var<private> columns: Phase;

fn stride() -> u32 {
    return select(STRIDE, p.stride, STRIDE == 0u);
}

fn kernel_height() -> u32 {
    return select(KERNEL, p.kernel_height, KERNEL == 0u);
}

fn kernel_width() -> u32 {
    return select(KERNEL, p.kernel_width, KERNEL == 0u);
}

fn phase_of(phase: u32, size: u32, kernel: u32) -> Phase {
    let s = stride();
    let first_tap = (phase + p.padding) % s;
    let taps = select(0u, (kernel - first_tap + s - 1u) / s, kernel > first_tap);
    let places = select(0u, (size - phase + s - 1u) / s, size > phase);
    return Phase(phase, first_tap, taps, places, (phase + p.padding - first_tap) / s);
}

// Rows: channels of x. Rows past the end repeat the last one, and their results are not stored.
fn a_place(row: u32) -> vec4<u32> {
    return min(row + vec4(0u, 1u, 2u, 3u), vec4(p.cin - 1u)) * (kernel_height() * kernel_width());
}

fn a_step(k: u32) -> vec4<u32> {
    let at = tap_place(k);
    let u = rows.first_tap + stride() * at.y;
    let v = columns.first_tap + stride() * at.z;
    return vec4((at.x * p.cin * kernel_height() + u) * kernel_width() + v);
}

fn a_quad(place: vec4<u32>, step: vec4<u32>) -> vec4<f32> {
    let i = place + step;
    return vec4(f32(w[i.x]), f32(w[i.y]), f32(w[i.z]), f32(w[i.w]));
}

// n divided by the number of a phase's taps along a dimension. For a constant kernel there are only two such numbers, both constant.
fn by_taps(n: u32, taps: u32) -> u32 {
    if KERNEL == 0u || STRIDE == 0u {
        return n / taps;
    }
    let fewer = max(KERNEL / max(STRIDE, 1u), 1u);
    let more = (KERNEL + STRIDE - 1u) / max(STRIDE, 1u);
    return select(n / more, n / fewer, taps == fewer);
}

// A step of the sum: channel of y, and tap of the phase.
fn tap_place(k: u32) -> vec3<u32> {
    let line = by_taps(k, columns.taps);
    let channel = by_taps(line, rows.taps);
    return vec3(channel, line - channel * rows.taps, k - line * columns.taps);
}

// A place of the phase: image, row and column.
fn place_of(number: u32) -> vec3<u32> {
    // An image that is smaller than the stride has phases without places. Nothing of them is stored.
    return unravel(number, max(rows.places, 1u), max(columns.places, 1u));
}

// The number of y that a place reads through a tap. It is 0 outside y; an index below 0 wraps to a large number.
fn sample(at: vec3<u32>, tap: vec3<u32>) -> f32 {
    let i = at.y + rows.shift - tap.y;
    let j = at.z + columns.shift - tap.z;
    if at.x < p.batch && i < p.to_height && j < p.to_width {
        return f32(y[((at.x * p.cout + tap.x) * p.to_height + i) * p.to_width + j]);
    }
    return 0.0;
}

fn b_place(col: u32) -> vec4<u32> {
    return vec4(place_of(col), 0u);
}

fn b_step(k: u32) -> vec4<u32> {
    return vec4(tap_place(k), 0u);
}

fn b_quad(place: vec4<u32>, step: vec4<u32>) -> vec4<f32> {
    let tap = step.xyz;
    let p1 = next_place(place.xyz, rows.places, columns.places);
    let p2 = next_place(p1, rows.places, columns.places);
    let p3 = next_place(p2, rows.places, columns.places);
    return vec4(sample(place.xyz, tap), sample(p1, tap), sample(p2, tap), sample(p3, tap));
}

fn c_quad(row: u32, col: u32, sums: vec4<f32>, layer: u32) {
    if row >= p.cin {
        return;
    }
    var base = 0.0;
    if BIASED && layer == 0u {
        base = f32(bias[row]);
    }
    let s = stride();
    for (var lane = 0u; lane < 4u; lane++) {
        if col + lane < p.batch * rows.places * columns.places {
            let at = place_of(col + lane);
            let image = layer * p.batch + at.x;
            let to = ((image * p.cin + row) * p.height + at.y * s + rows.phase) * p.width + at.z * s + columns.phase;
            if ACCUMULATE {
                base = f32(x[to]);
            }
            x[to] = T3(base + sums[lane]);
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn conv_transpose2d(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) local: u32) {
    let s = stride();
    let phase = group.z / p.parts;
    let down = phase_of(phase / s, p.height, kernel_height());
    let along = phase_of(phase % s, p.width, kernel_width());
    rows = down;
    columns = along;
    let cols = max(p.batch * down.places * along.places, 1u);
    let inner = p.cout * down.taps * along.taps;
    let part = (inner + p.parts - 1u) / p.parts;
    let layer = group.z % p.parts;
    let first = min(layer * part, inner);
    tile_product(group_number(group, groups), cols, first, min(first + part, inner), local, layer);
}
