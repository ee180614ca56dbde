// Batched matrix products, c[…, i, j] = Σ_k a[…, i, k]·b[…, k, j], where each operand may be stored transposed and may be repeated.
// Grid: one workgroup for each tile of 64 × 64 numbers of each matrix. An invocation computes 4 × 4 numbers. The sum proceeds in
// steps of 16, for which both operands are copied to workgroup memory.

struct Params {
    sizes: vec4<u32>, // of the dimensions that number the matrices, outermost first, padded in front by 1
    a_steps: vec4<u32>, // matrices of a from index to index, 0 where it is repeated
    b_steps: vec4<u32>,
    count: u32, // of matrices
    rows: u32,
    cols: u32,
    inner: u32,
    a_row: u32, // strides of a between rows, and between steps of the sum
    a_k: u32,
    b_k: u32,
    b_col: u32,
}

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> a_tile: array<f32, 1024>; // [step][row]
var<workgroup> b_tile: array<f32, 1024>; // [step][column]

// Four numbers of a row. Those outside the matrix are left out.
fn store(number: u32, row: u32, col: u32, sums: vec4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        if number < p.count && row < p.rows && col + i < p.cols {
            c[(number * p.rows + row) * p.cols + col + i] = sums[i];
        }
    }
}

@compute @workgroup_size(256)
fn bmm(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
       @builtin(local_invocation_index) local: u32) {
    let tiles = vec2((p.cols + TILE - 1u) / TILE, (p.rows + TILE - 1u) / TILE);
    let tile = group_number(group, groups);
    let number = tile / (tiles.x * tiles.y);
    let first_row = tile / tiles.x % tiles.y * TILE;
    let first_col = tile % tiles.x * TILE;
    var rest = number;
    var at_a = 0u;
    var at_b = 0u;
    for (var d = 4u; d > 0u; d--) {
        let index = rest % p.sizes[d - 1u];
        rest /= p.sizes[d - 1u];
        at_a += index * p.a_steps[d - 1u];
        at_b += index * p.b_steps[d - 1u];
    }
    at_a *= p.rows * p.inner;
    at_b *= p.inner * p.cols;

    let row = local / 16u * 4u;
    let col = local % 16u * 4u;
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    for (var first = 0u; first < p.inner; first += DEPTH) {
        for (var item = local; item < TILE * DEPTH; item += GROUP) {
            let k = first + item / TILE;
            let i = first_row + item % TILE;
            let j = first_col + item % TILE;
            a_tile[item] = 0.0;
            b_tile[item] = 0.0;
            if k < p.inner && i < p.rows {
                a_tile[item] = a[at_a + i * p.a_row + k * p.a_k];
            }
            if k < p.inner && j < p.cols {
                b_tile[item] = b[at_b + k * p.b_k + j * p.b_col];
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let at = k * TILE + row;
            let bt = k * TILE + col;
            let quad = vec4(b_tile[bt], b_tile[bt + 1u], b_tile[bt + 2u], b_tile[bt + 3u]);
            s0 += a_tile[at] * quad;
            s1 += a_tile[at + 1u] * quad;
            s2 += a_tile[at + 2u] * quad;
            s3 += a_tile[at + 3u] * quad;
        }
        workgroupBarrier();
    }
    store(number, first_row + row, first_col + col, s0);
    store(number, first_row + row + 1u, first_col + col, s1);
    store(number, first_row + row + 2u, first_col + col, s2);
    store(number, first_row + row + 3u, first_col + col, s3);
}
