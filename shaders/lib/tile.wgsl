// A matrix product c = a·b, [rows, cols] summed over `inner`, in tiles. Each of a workgroup's ACROSS × DOWN invocations computes
// 8 × 8 numbers of c in registers. Per step of the sum it reads 16 numbers from workgroup memory for 64 multiply-adds. WIDE makes
// this 8 × 16. That is faster on a CPU that acts as a GPU, where there are enough registers and reads are the bottleneck. SHORT makes it
// 4 × 8, for GPUs with few registers.
// Functions read the operands, so that an unrolled image, a matrix and a transposed matrix all use the same loop. A file that
// uses this one defines the functions below. It decides what the vectors `place` and `step` contain:
//   fn a_place(row) -> vec4<u32>: the place of rows `row` to `row + 3`       fn b_place(col) -> vec4<u32>: that of four columns
//   fn a_step(k), b_step(k) -> vec4<u32>: a step of the sum
//   fn a_quad(place, step), b_quad(place, step) -> vec4<f32>: the four numbers there
//   fn c_quad(row, col, sums: vec4<f32>, layer): stores c[row, col .. col + 4]
// Divisions are slow, so places are computed once and steps as rarely as possible. The functions must also accept rows and columns
// past the end: the readers may then return anything, and c_quad must store nothing. The file decides what the layers (z) of the
// grid mean.

override WIDE: bool = false;
override SHORT: bool = false;
override ACROSS: u32 = 16u; // invocations along the columns of a tile, which has 8·ACROSS columns, or 16·ACROSS if WIDE
override DOWN: u32 = 8u; // invocations along the rows of a tile, which has 8·DOWN rows, or 4·DOWN if SHORT
// These follow from the two above. They are constants of their own because naga 30 accepts no expressions in their places.
override INVOCATIONS: u32 = 128u; // ACROSS · DOWN, a multiple of DEPTH
override A_LENGTH: u32 = 136u; // DEPTH · (2·DOWN + 1), SHORT DEPTH · (DOWN + 1)
override B_LENGTH: u32 = 264u; // DEPTH · (2·ACROSS + 1), WIDE DEPTH · (4·ACROSS + 1)
// Whether neighbours along the sum are contiguous in memory, so that neighbouring invocations should read them.
override A_ALONG_K: bool = true;
override B_ALONG_K: bool = false;

const DEPTH: u32 = 8u; // steps of the sum between two barriers

// A step of the sum is a row of quads. It has one quad of padding, which avoids bank conflicts.
var<workgroup> a_tile: array<vec4<f32>, A_LENGTH>;
var<workgroup> b_tile: array<vec4<f32>, B_LENGTH>;

// Quads of a in a step of the sum.
fn a_row() -> u32 {
    return select(2u, 1u, SHORT) * DOWN;
}

// The e-th quad that a workgroup reads of an operand: (step of the sum, quad).
fn fetched(e: u32, quads: u32, along_k: bool) -> vec2<u32> {
    return select(vec2(e / quads, e % quads), vec2(e % DEPTH, e / DEPTH), along_k);
}

// Computes the tile with this number, counted along the rows of c, over the steps of the sum from `first` up to `end`.
fn tile_product(tile: u32, cols: u32, first: u32, end: u32, local: u32, layer: u32) {
    let quads = select(2u, 4u, WIDE) * ACROSS; // of a tile's row
    let tiles = (cols + 4u * quads - 1u) / (4u * quads);
    let row0 = tile / tiles * 4u * a_row();
    let col0 = tile % tiles * 4u * quads;

    // An invocation reads the same quads in every step: at most two of a and eight of b.
    let a_quads = max(DEPTH * a_row() / INVOCATIONS, 1u);
    let b_quads = max(DEPTH * quads / INVOCATIONS, 1u);
    var a_places: array<vec4<u32>, 2>;
    var b_places: array<vec4<u32>, 8>;
    for (var i = 0u; i < a_quads; i++) {
        a_places[i] = a_place(row0 + 4u * fetched(i * INVOCATIONS + local, a_row(), A_ALONG_K).y);
    }
    for (var i = 0u; i < b_quads; i++) {
        b_places[i] = b_place(col0 + 4u * fetched(i * INVOCATIONS + local, quads, B_ALONG_K).y);
    }

    let ty = local / ACROSS; // its rows are 4·ty to 4·ty + 3, and four more in the lower half of the tile
    let tx = local % ACROSS;
    var c: array<vec4<f32>, 16>; // row r: 2r, 2r + 1
    var d: array<vec4<f32>, 16>; // WIDE: the columns beyond
    for (var k0 = first; k0 < end; k0 += DEPTH) {
        for (var i = 0u; i < a_quads; i++) {
            let e = i * INVOCATIONS + local;
            let at = fetched(e, a_row(), A_ALONG_K);
            if e < DEPTH * a_row() {
                var quad = vec4(0.0);
                if k0 + at.x < end {
                    quad = a_quad(a_places[i], a_step(k0 + at.x));
                }
                a_tile[at.x * (a_row() + 1u) + at.y] = quad;
            }
        }
        let along = b_step(k0 + local % DEPTH);
        for (var i = 0u; i < b_quads; i++) {
            let e = i * INVOCATIONS + local;
            let at = fetched(e, quads, B_ALONG_K);
            var quad = vec4(0.0);
            if k0 + at.x < end {
                if B_ALONG_K {
                    quad = b_quad(b_places[i], along);
                } else {
                    quad = b_quad(b_places[i], b_step(k0 + at.x));
                }
            }
            if !SHORT || e < DEPTH * quads {
                b_tile[at.x * (quads + 1u) + at.y] = quad;
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let a0 = a_tile[k * (a_row() + 1u) + ty];
            let a1 = a_tile[k * (a_row() + 1u) + select(DOWN, 0u, SHORT) + ty]; // not used if SHORT
            let b0 = b_tile[k * (quads + 1u) + tx];
            let b1 = b_tile[k * (quads + 1u) + ACROSS + tx];
            c[0] += a0.x * b0;
            c[1] += a0.x * b1;
            c[2] += a0.y * b0;
            c[3] += a0.y * b1;
            c[4] += a0.z * b0;
            c[5] += a0.z * b1;
            c[6] += a0.w * b0;
            c[7] += a0.w * b1;
            if !SHORT {
                c[8] += a1.x * b0;
                c[9] += a1.x * b1;
                c[10] += a1.y * b0;
                c[11] += a1.y * b1;
                c[12] += a1.z * b0;
                c[13] += a1.z * b1;
                c[14] += a1.w * b0;
                c[15] += a1.w * b1;
            }
            if WIDE {
                let b2 = b_tile[k * (quads + 1u) + 2u * ACROSS + tx];
                let b3 = b_tile[k * (quads + 1u) + 3u * ACROSS + tx];
                d[0] += a0.x * b2;
                d[1] += a0.x * b3;
                d[2] += a0.y * b2;
                d[3] += a0.y * b3;
                d[4] += a0.z * b2;
                d[5] += a0.z * b3;
                d[6] += a0.w * b2;
                d[7] += a0.w * b3;
                d[8] += a1.x * b2;
                d[9] += a1.x * b3;
                d[10] += a1.y * b2;
                d[11] += a1.y * b3;
                d[12] += a1.z * b2;
                d[13] += a1.z * b3;
                d[14] += a1.w * b2;
                d[15] += a1.w * b3;
            }
        }
        workgroupBarrier();
    }
    // Written out, since a loop would index registers.
    let above = row0 + 4u * ty;
    let below = above + 4u * DOWN;
    let left = col0 + 4u * tx;
    let right = left + 4u * ACROSS;
    c_quad(above, left, c[0], layer);
    c_quad(above, right, c[1], layer);
    c_quad(above + 1u, left, c[2], layer);
    c_quad(above + 1u, right, c[3], layer);
    c_quad(above + 2u, left, c[4], layer);
    c_quad(above + 2u, right, c[5], layer);
    c_quad(above + 3u, left, c[6], layer);
    c_quad(above + 3u, right, c[7], layer);
    if !SHORT {
        c_quad(below, left, c[8], layer);
        c_quad(below, right, c[9], layer);
        c_quad(below + 1u, left, c[10], layer);
        c_quad(below + 1u, right, c[11], layer);
        c_quad(below + 2u, left, c[12], layer);
        c_quad(below + 2u, right, c[13], layer);
        c_quad(below + 3u, left, c[14], layer);
        c_quad(below + 3u, right, c[15], layer);
    }
    if WIDE {
        let far = right + 4u * ACROSS;
        let farthest = far + 4u * ACROSS;
        c_quad(above, far, d[0], layer);
        c_quad(above, farthest, d[1], layer);
        c_quad(above + 1u, far, d[2], layer);
        c_quad(above + 1u, farthest, d[3], layer);
        c_quad(above + 2u, far, d[4], layer);
        c_quad(above + 2u, farthest, d[5], layer);
        c_quad(above + 3u, far, d[6], layer);
        c_quad(above + 3u, farthest, d[7], layer);
        c_quad(below, far, d[8], layer);
        c_quad(below, farthest, d[9], layer);
        c_quad(below + 1u, far, d[10], layer);
        c_quad(below + 1u, farthest, d[11], layer);
        c_quad(below + 2u, far, d[12], layer);
        c_quad(below + 2u, farthest, d[13], layer);
        c_quad(below + 3u, far, d[14], layer);
        c_quad(below + 3u, farthest, d[15], layer);
    }
}

// Columns and steps of a convolution's product are places (plane, row, column), counted row by row.
fn unravel(number: u32, height: u32, width: u32) -> vec3<u32> {
    return vec3(number / (height * width), number % (height * width) / width, number % width);
}

// The place after this one.
fn next_place(at: vec3<u32>, height: u32, width: u32) -> vec3<u32> {
    if at.z + 1u < width {
        return vec3(at.x, at.y, at.z + 1u);
    }
    return select(vec3(at.x + 1u, 0u, 0u), vec3(at.x, at.y + 1u, 0u), at.y + 1u < height);
}
