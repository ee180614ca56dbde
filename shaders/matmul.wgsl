// c = a·b, where each operand may be stored transposed:  c[row, col] = Σ_k a[row, k]·b[k, col].
// Grid: one workgroup for each tile (lib/tile.wgsl). Each layer takes a part of the sum and writes its own c; these are added up later.

struct Params {
    rows: u32,
    cols: u32,
    inner: u32,
    part: u32, // steps of the sum in a layer
    a_row: u32, // strides of a between rows, and between steps of the sum
    a_k: u32,
    b_k: u32,
    b_col: u32,
}

override A_QUADS: bool = false; // four rows of a are contiguous and aligned to 16 bytes
override B_QUADS: bool = false;

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// Four rows of a, or columns of b. Those past the end repeat the last one, and their results are not stored.
fn a_place(row: u32) -> vec4<u32> {
    return min(row + vec4(0u, 1u, 2u, 3u), vec4(p.rows - 1u)) * p.a_row;
}

fn b_place(col: u32) -> vec4<u32> {
    return min(col + vec4(0u, 1u, 2u, 3u), vec4(p.cols - 1u)) * p.b_col;
}

fn a_step(k: u32) -> vec4<u32> {
    return vec4(k * p.a_k);
}

fn b_step(k: u32) -> vec4<u32> {
    return vec4(k * p.b_k);
}

fn a_quad(place: vec4<u32>, step: vec4<u32>) -> vec4<f32> {
    let i = place + step;
    if A_QUADS {
        return a[i.x / 4u];
    }
    return vec4(a[i.x / 4u][i.x % 4u], a[i.y / 4u][i.y % 4u], a[i.z / 4u][i.z % 4u], a[i.w / 4u][i.w % 4u]);
}

fn b_quad(place: vec4<u32>, step: vec4<u32>) -> vec4<f32> {
    let i = place + step;
    if B_QUADS {
        return b[i.x / 4u];
    }
    return vec4(b[i.x / 4u][i.x % 4u], b[i.y / 4u][i.y % 4u], b[i.z / 4u][i.z % 4u], b[i.w / 4u][i.w % 4u]);
}

fn c_quad(row: u32, col: u32, sums: vec4<f32>, layer: u32) {
    for (var i = 0u; i < 4u; i++) {
        if row < p.rows && col + i < p.cols {
            c[(layer * p.rows + row) * p.cols + col + i] = sums[i];
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn matmul(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) local: u32) {
    let first = group.z * p.part;
    tile_product(group_number(group, groups), p.cols, first, min(first + p.part, p.inner), local, group.z);
}
