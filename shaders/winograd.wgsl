// Convolutions of 3 × 3 with stride 1 and their gradients by Winograd's algorithm F(2×2, 3×3) (Lavin and Gray, 1509.09308). A tile of
// 2 × 2 results takes 16 multiplications for each channel instead of 36. With ⊙ for the product of elements:
//   y  = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]A       x: the 4 × 4 pixels that the tile reads, summed over channels
//   dw = Gᵀ[(A·dy·Aᵀ) ⊙ (Bᵀ·x·B)]G      summed over tiles
//   Bᵀ = [1 0 −1 0; 0 1 1 0; 0 −1 1 0; 0 1 0 −1],   G = [1 0 0; ½ ½ ½; ½ −½ ½; 0 0 1],   Aᵀ = [1 1 1 0; 0 1 −1 −1]
// The gradient of the input is a convolution of dy with the weight, whose channels are exchanged and whose taps are reversed.
// So each use is 16 matrix products c = a·b, one for each of the 16 positions, between a transform and its inverse:
//   y: rows are output channels, columns tiles, steps of the sum input channels;   dw: output channels, input channels, tiles.
// Grid: one workgroup for each block of 32 rows and 32 columns. Each layer takes a part of the sum and writes its own result; these are
// added up later.

struct Params {
    rows: u32,
    cols: u32,
    inner: u32,
    part: u32, // steps of the sum in a layer
    height: u32, // of x
    width: u32,
    to_height: u32, // of y
    to_width: u32,
    tiles_down: u32,
    tiles_across: u32,
    padding: u32,
    batch: u32,
}

override INPUT_GRADIENT: bool = false; // then x is dy, and y is the gradient
override WEIGHT_GRADIENT: bool = false;
override BIASED: bool = false;
override ACCUMULATE: bool = false; // add to what y has
// Common numbers of tiles are constants, which makes divisions by them cheap. 0: the numbers are in the parameters.
override TILES_DOWN: u32 = 0u;
override TILES_ACROSS: u32 = 0u;

@group(0) @binding(0) var<storage, read> a: array<T0>; // w, or dy
@group(0) @binding(1) var<storage, read> x: array<T1>;
@group(0) @binding(2) var<storage, read> bias: array<T2>; // any buffer if there is none
@group(0) @binding(3) var<storage, read_write> c: array<T3>; // y, or dw
@group(1) @binding(0) var<uniform> p: Params;

const BLOCK: u32 = 32u; // rows and columns of a workgroup
const STEPS: u32 = 4u; // of the sum between two barriers
const OPERAND: u32 = 2048u; // numbers of an operand: 16 positions × STEPS × BLOCK
const POSITION: u32 = 128u; // numbers from a position to the next: STEPS × BLOCK

// Both operands, [position][step][row or column], and at the end the sums, [position][row, column].
var<workgroup> shared_tile: array<f32, 4096>;

// Where a step has its r-th row. Each step begins 8 rows later than the one before, which avoids bank conflicts.
fn slot(step: u32, r: u32) -> u32 {
    return step * BLOCK + (r + 8u * step) % BLOCK;
}

fn quad(from_here: u32) -> vec4<f32> {
    return vec4(shared_tile[from_here], shared_tile[from_here + 1u], shared_tile[from_here + 2u], shared_tile[from_here + 3u]);
}

// A row of a 4 × 4 matrix, transformed by the matrix of pixels, of weights or of gradients, and stored for its four positions.
fn put(at: u32, row: vec4<f32>) {
    shared_tile[at] = row.x;
    shared_tile[at + POSITION] = row.y;
    shared_tile[at + 2u * POSITION] = row.z;
    shared_tile[at + 3u * POSITION] = row.w;
}

fn pixels_row(t: vec4<f32>) -> vec4<f32> {
    return vec4(t.x - t.z, t.y + t.z, t.z - t.y, t.y - t.w);
}

fn weights_row(t: vec4<f32>) -> vec4<f32> {
    let ends = 0.5 * (t.x + t.z);
    return vec4(t.x, ends + 0.5 * t.y, ends - 0.5 * t.y, t.z);
}

fn gradients_row(t: vec4<f32>) -> vec4<f32> {
    return vec4(t.x, t.x + t.y, t.x - t.y, -t.y);
}

// A tile: image, row and column of the tile.
fn tile_place(number: u32) -> vec3<u32> {
    let across = select(TILES_ACROSS, p.tiles_across, TILES_ACROSS == 0u);
    let down = select(TILES_DOWN, p.tiles_down, TILES_DOWN == 0u);
    return vec3(number / (down * across), number / across % down, number % across);
}

// What an invocation reads for a round, before the transform: 4 × 4 pixels, 3 × 3 weights or 2 × 2 gradients.
struct Patch {
    r0: vec4<f32>,
    r1: vec4<f32>,
    r2: vec4<f32>,
    r3: vec4<f32>,
}

// Four pixels of a row of x, which begins at `start`, from a column on. They are 0 outside the image.
fn pixels(start: u32, columns: vec4<u32>, inside: vec4<bool>) -> vec4<f32> {
    let i = vec4(start) + columns;
    return select(vec4(0.0), vec4(f32(x[i.x]), f32(x[i.y]), f32(x[i.z]), f32(x[i.w])), inside);
}

// The 4 × 4 pixels that a tile reads of a channel, counted through the images. An index below 0 wraps to a large number.
fn read_pixels(channel: u32, tile: vec3<u32>, used: bool) -> Patch {
    let rows = 2u * tile.y + vec4(0u, 1u, 2u, 3u) - p.padding;
    let columns = 2u * tile.z + vec4(0u, 1u, 2u, 3u) - p.padding;
    let in_column = (columns < vec4(p.width)) & vec4(used);
    let in_row = rows < vec4(p.height);
    let near = min(columns, vec4(p.width - 1u));
    let starts = (channel * p.height + min(rows, vec4(p.height - 1u))) * p.width;
    return Patch(
        pixels(starts.x, near, in_column & vec4(in_row.x)),
        pixels(starts.y, near, in_column & vec4(in_row.y)),
        pixels(starts.z, near, in_column & vec4(in_row.z)),
        pixels(starts.w, near, in_column & vec4(in_row.w)),
    );
}

fn put_pixels(at: u32, t: Patch) {
    put(at, pixels_row(t.r0 - t.r2));
    put(at + 4u * POSITION, pixels_row(t.r1 + t.r2));
    put(at + 8u * POSITION, pixels_row(t.r2 - t.r1));
    put(at + 12u * POSITION, pixels_row(t.r1 - t.r3));
}

// Three weights.
fn weight_row(i: u32) -> vec4<f32> {
    return vec4(f32(a[i]), f32(a[i + 1u]), f32(a[i + 2u]), 0.0);
}

// The 3 × 3 weights that begin at `start`.
fn read_weights(start: u32, used: bool) -> Patch {
    let w0 = weight_row(start);
    let w1 = weight_row(start + 3u);
    let w2 = weight_row(start + 6u);
    let none = vec4(0.0);
    let inside = vec4(used);
    if INPUT_GRADIENT {
        return Patch(select(none, w2.zyxw, inside), select(none, w1.zyxw, inside), select(none, w0.zyxw, inside), none);
    }
    return Patch(select(none, w0, inside), select(none, w1, inside), select(none, w2, inside), none);
}

fn put_weights(at: u32, t: Patch) {
    let ends = 0.5 * (t.r0 + t.r2);
    put(at, weights_row(t.r0));
    put(at + 4u * POSITION, weights_row(ends + 0.5 * t.r1));
    put(at + 8u * POSITION, weights_row(ends - 0.5 * t.r1));
    put(at + 12u * POSITION, weights_row(t.r2));
}

// The 2 × 2 gradients of a tile of a channel, counted through the images.
fn read_gradients(channel: u32, tile: vec3<u32>, used: bool) -> Patch {
    let row = 2u * tile.y;
    let column = 2u * tile.z;
    let below = min(row + 1u, p.to_height - 1u);
    let beside = min(column + 1u, p.to_width - 1u);
    let start = channel * p.to_height;
    let upper = (start + row) * p.to_width;
    let lower = (start + below) * p.to_width;
    let inside = vec4(used, used && column + 1u < p.to_width, false, false);
    let none = vec4(0.0);
    let g0 = select(none, vec4(f32(a[upper + column]), f32(a[upper + beside]), 0.0, 0.0), inside);
    let g1 = select(none, vec4(f32(a[lower + column]), f32(a[lower + beside]), 0.0, 0.0), inside & vec4(row + 1u < p.to_height));
    return Patch(g0, g1, none, none);
}

fn put_gradients(at: u32, t: Patch) {
    put(at, gradients_row(t.r0));
    put(at + 4u * POSITION, gradients_row(t.r0 + t.r1));
    put(at + 8u * POSITION, gradients_row(t.r0 - t.r1));
    put(at + 12u * POSITION, gradients_row(-t.r1));
}

// The step of the sum and the row or column of which an invocation reads a patch. In `a` neighbours along the sum are near in memory,
// except for the gradient of the input, and in `b` only for the gradient of the weight.
fn place_in_a(item: u32) -> vec2<u32> {
    return select(vec2(item % STEPS, item / STEPS), vec2(item / BLOCK, item % BLOCK), INPUT_GRADIENT);
}

fn place_in_b(item: u32) -> vec2<u32> {
    return select(vec2(item / BLOCK, item % BLOCK), vec2(item % STEPS, item / STEPS), WEIGHT_GRADIENT);
}

// The patch of an invocation for the round that begins at step k0. Rows past the end repeat the last one, and their results are not
// stored. Steps past the end are 0.
fn read_patch(local: u32, row0: u32, col0: u32, k0: u32, end: u32) -> Patch {
    if local < 128u {
        let place = place_in_a(local);
        let row = min(row0 + place.y, p.rows - 1u);
        let k = min(k0 + place.x, p.inner - 1u);
        if WEIGHT_GRADIENT {
            let tile = tile_place(k);
            return read_gradients(tile.x * p.rows + row, tile, k0 + place.x < end);
        }
        let number = select(row * p.inner + k, k * p.rows + row, INPUT_GRADIENT);
        return read_weights(9u * number, k0 + place.x < end);
    }
    let place = place_in_b(local - 128u);
    let col = min(col0 + place.y, p.cols - 1u);
    let k = min(k0 + place.x, p.inner - 1u);
    let tile = tile_place(select(col, k, WEIGHT_GRADIENT));
    return read_pixels(select(tile.x * p.inner + k, tile.x * p.cols + col, WEIGHT_GRADIENT), tile, k0 + place.x < end);
}

// Transforms and stores the patch.
fn put_patch(local: u32, t: Patch) {
    if local < 128u {
        let place = place_in_a(local);
        if WEIGHT_GRADIENT {
            put_gradients(slot(place.x, place.y), t);
        } else {
            put_weights(slot(place.x, place.y), t);
        }
    } else {
        let place = place_in_b(local - 128u);
        put_pixels(OPERAND + slot(place.x, place.y), t);
    }
}

// The inverse transform of the sums of a row and a column, stored in the result.
fn store(row: u32, col: u32, m: array<vec4<f32>, 4>, layer: u32) {
    if row >= p.rows || col >= p.cols {
        return;
    }
    if WEIGHT_GRADIENT {
        let inner = 0.5 * (m[1] + m[2]);
        let to = 9u * ((layer * p.rows + row) * p.cols + col);
        store_taps(to, m[0] + inner);
        store_taps(to + 3u, 0.5 * (m[1] - m[2]));
        store_taps(to + 6u, inner + m[3]);
        return;
    }
    let tile = tile_place(col);
    let image = (layer * p.batch + tile.x) * p.rows + row;
    let to = (image * p.to_height + 2u * tile.y) * p.to_width + 2u * tile.z;
    var base = 0.0;
    if BIASED && layer == 0u {
        base = f32(bias[row]);
    }
    let beside = 2u * tile.z + 1u < p.to_width;
    store_pixels(to, m[0] + m[1] + m[2], base, beside);
    if 2u * tile.y + 1u < p.to_height {
        store_pixels(to + p.to_width, m[1] - m[2] - m[3], base, beside);
    }
}

fn store_pixels(to: u32, t: vec4<f32>, base: f32, beside: bool) {
    if ACCUMULATE {
        c[to] = T3(f32(c[to]) + (t.x + t.y + t.z));
        if beside {
            c[to + 1u] = T3(f32(c[to + 1u]) + (t.y - t.z - t.w));
        }
        return;
    }
    c[to] = T3(base + (t.x + t.y + t.z));
    if beside {
        c[to + 1u] = T3(base + (t.y - t.z - t.w));
    }
}

fn store_taps(to: u32, t: vec4<f32>) {
    let inner = 0.5 * (t.y + t.z);
    c[to] = T3(t.x + inner);
    c[to + 1u] = T3(0.5 * (t.y - t.z));
    c[to + 2u] = T3(inner + t.w);
}

// Exchanges a quarter of the sums, so that an invocation has all 16 positions of one row and column, and stores the results. An
// invocation gives two neighbouring rows, each with four columns and four more in the right half.
fn store_quarter(quarter: u32, s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32>, at: vec2<u32>, local: u32, layer: u32) {
    workgroupBarrier(); // others may still read what was there
    let in_position = local % 16u;
    let to = local / 16u * 256u + in_position / 4u * 64u + in_position % 4u * 4u;
    put_quad(to, s0);
    put_quad(to + 16u, s1);
    put_quad(to + 32u, s2);
    put_quad(to + 48u, s3);
    workgroupBarrier();
    let m = array<vec4<f32>, 4>(sums(local), sums(local + 1024u), sums(local + 2048u), sums(local + 3072u));
    // Two rows of every four, first those of the upper half, in the second half of the quarters those of the lower.
    let row = quarter / 2u * 16u + local / 64u * 4u + quarter % 2u * 2u + local / 32u % 2u;
    store(at.x + row, at.y + local % 32u, m, layer);
}

fn put_quad(to: u32, s: vec4<f32>) {
    shared_tile[to] = s.x;
    shared_tile[to + 1u] = s.y;
    shared_tile[to + 2u] = s.z;
    shared_tile[to + 3u] = s.w;
}

fn sums(first: u32) -> vec4<f32> {
    return vec4(shared_tile[first], shared_tile[first + 256u], shared_tile[first + 512u], shared_tile[first + 768u]);
}

@compute @workgroup_size(256)
fn winograd(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
            @builtin(local_invocation_index) local: u32) {
    let number = group_number(group, groups);
    let blocks = (p.cols + BLOCK - 1u) / BLOCK;
    let row0 = number / blocks * BLOCK;
    let col0 = number % blocks * BLOCK;
    let first = group.z * p.part;
    let end = min(first + p.part, p.inner);

    let position = local / 16u; // the invocation's matrix product
    let ty = local / 4u % 4u; // its rows are 4·ty to 4·ty + 3, and four more in the lower half
    let tx = local % 4u;
    var s: array<vec4<f32>, 16>; // row r: 2r, 2r + 1
    var next_patch = read_patch(local, row0, col0, first, end);
    for (var k0 = first; k0 < end; k0 += STEPS) {
        workgroupBarrier();
        put_patch(local, next_patch);
        workgroupBarrier();
        // The next patch is on its way while this one is multiplied.
        next_patch = read_patch(local, row0, col0, k0 + STEPS, end);
        for (var k = 0u; k < STEPS; k++) {
            let from_a = position * POSITION + k * BLOCK;
            let from_b = OPERAND + from_a;
            let a0 = quad(from_a + (4u * ty + 8u * k) % BLOCK);
            let a1 = quad(from_a + (4u * ty + 8u * k + 16u) % BLOCK);
            let b0 = quad(from_b + (4u * tx + 8u * k) % BLOCK);
            let b1 = quad(from_b + (4u * tx + 8u * k + 16u) % BLOCK);
            s[0] += a0.x * b0;
            s[1] += a0.x * b1;
            s[2] += a0.y * b0;
            s[3] += a0.y * b1;
            s[4] += a0.z * b0;
            s[5] += a0.z * b1;
            s[6] += a0.w * b0;
            s[7] += a0.w * b1;
            s[8] += a1.x * b0;
            s[9] += a1.x * b1;
            s[10] += a1.y * b0;
            s[11] += a1.y * b1;
            s[12] += a1.z * b0;
            s[13] += a1.z * b1;
            s[14] += a1.w * b0;
            s[15] += a1.w * b1;
        }
    }
    // Written out, since a loop would index registers.
    let at = vec2(row0, col0);
    store_quarter(0u, s[0], s[1], s[2], s[3], at, local, group.z);
    store_quarter(1u, s[4], s[5], s[6], s[7], at, local, group.z);
    store_quarter(2u, s[8], s[9], s[10], s[11], at, local, group.z);
    store_quarter(3u, s[12], s[13], s[14], s[15], at, local, group.z);
}
