// Convolution and the gradient of its weight as matrix products. The unrolled image is an operand but is never stored:
//   y[n, o, i, j] = bias[o] + Σ_k w[o, k]·x[n, c, s·i + u − p, s·j + v − p]     rows o, columns (n, i, j), k = (c, u, v)
//   dw[o, c, u, v] = Σ_k dy[n, o, i, j]·x[n, c, s·i + u − p, s·j + v − p]        rows o, columns (c, u, v), k = (n, i, j)
// Grid: one workgroup for each tile (lib/tile.wgsl). Each layer takes a part of the sum and writes its own result; these are added up later.

struct Params {
    batch: u32,
    cin: u32,
    cout: u32,
    height: u32,
    width: u32,
    to_height: u32, // of y
    to_width: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride: u32,
    padding: u32,
    part: u32, // steps of the sum in a layer
}

// The sizes of common kernels are constants, which makes divisions by them cheap. 0: the sizes are in the parameters.
override KERNEL: u32 = 0u;
override STRIDE: u32 = 0u;
override WEIGHT_GRADIENT: bool = false;
override BIASED: bool = false;
override ACCUMULATE: bool = false; // add to what y has

@group(0) @binding(0) var<storage, read> a: array<T0>; // w, or dy
@group(0) @binding(1) var<storage, read> x: array<T1>;
@group(0) @binding(2) var<storage, read> bias: array<T2>; // any buffer if there is none
@group(0) @binding(3) var<storage, read_write> c: array<T3>; // y, or dw
@group(1) @binding(0) var<uniform> p: Params;

fn kernel_height() -> u32 {
    return select(KERNEL, p.kernel_height, KERNEL == 0u);
}

fn kernel_width() -> u32 {
    return select(KERNEL, p.kernel_width, KERNEL == 0u);
}

fn stride() -> u32 {
    return select(STRIDE, p.stride, STRIDE == 0u);
}

// A pixel of the output: image, row and column.
fn output_place(number: u32) -> vec3<u32> {
    return unravel(number, p.to_height, p.to_width);
}

// A tap of the kernel: channel, row and column.
fn tap_place(number: u32) -> vec3<u32> {
    return unravel(number, kernel_height(), kernel_width());
}

// The pixel that a pixel of the output reads through a tap. It is 0 outside the image; an index below 0 wraps to a large number.
fn pixel(at: vec3<u32>, tap: vec3<u32>) -> f32 {
    let row = at.y * stride() + tap.y - p.padding;
    let column = at.z * stride() + tap.z - p.padding;
    if at.x < p.batch && tap.x < p.cin && row < p.height && column < p.width {
        return f32(x[((at.x * p.cin + tap.x) * p.height + row) * p.width + column]);
    }
    return 0.0;
}

// Rows: output channels. Rows past the end repeat the last one, and their results are not stored.
fn a_place(row: u32) -> vec4<u32> {
    let o = min(row + vec4(0u, 1u, 2u, 3u), vec4(p.cout - 1u));
    if WEIGHT_GRADIENT {
        return o * (p.to_height * p.to_width);
    }
    return o * (p.cin * kernel_height() * kernel_width());
}

fn a_step(k: u32) -> vec4<u32> {
    if WEIGHT_GRADIENT {
        let pixels = p.to_height * p.to_width;
        return vec4(k / pixels * p.cout * pixels + k % pixels);
    }
    return vec4(k);
}

fn a_quad(place: vec4<u32>, step: vec4<u32>) -> vec4<f32> {
    let i = place + step;
    return vec4(f32(a[i.x]), f32(a[i.y]), f32(a[i.z]), f32(a[i.w]));
}

// Columns are pixels of the output and steps are taps; for the gradient of the weight it is the other way round.
fn b_place(col: u32) -> vec4<u32> {
    if WEIGHT_GRADIENT {
        return vec4(tap_place(col), 0u);
    }
    return vec4(output_place(col), 0u);
}

fn b_step(k: u32) -> vec4<u32> {
    if WEIGHT_GRADIENT {
        return vec4(output_place(k), 0u);
    }
    return vec4(tap_place(k), 0u);
}

fn b_quad(place: vec4<u32>, step: vec4<u32>) -> vec4<f32> {
    if WEIGHT_GRADIENT {
        let t1 = next_place(place.xyz, kernel_height(), kernel_width());
        let t2 = next_place(t1, kernel_height(), kernel_width());
        let t3 = next_place(t2, kernel_height(), kernel_width());
        let at = step.xyz;
        return vec4(pixel(at, place.xyz), pixel(at, t1), pixel(at, t2), pixel(at, t3));
    }
    let p1 = next_place(place.xyz, p.to_height, p.to_width);
    let p2 = next_place(p1, p.to_height, p.to_width);
    let p3 = next_place(p2, p.to_height, p.to_width);
    let tap = step.xyz;
    return vec4(pixel(place.xyz, tap), pixel(p1, tap), pixel(p2, tap), pixel(p3, tap));
}

fn columns() -> u32 {
    let taps = p.cin * kernel_height() * kernel_width();
    return select(p.batch * p.to_height * p.to_width, taps, WEIGHT_GRADIENT);
}

fn c_quad(row: u32, col: u32, sums: vec4<f32>, layer: u32) {
    if row >= p.cout {
        return;
    }
    let cols = columns();
    let pixels = p.to_height * p.to_width;
    var base = 0.0;
    if BIASED && layer == 0u {
        base = f32(bias[row]);
    }
    for (var i = 0u; i < 4u; i++) {
        let here = col + i;
        if here < cols {
            let in_weight = row * cols + here;
            let in_image = (here / pixels * p.cout + row) * pixels + here % pixels;
            let to = layer * p.cout * cols + select(in_image, in_weight, WEIGHT_GRADIENT);
            if ACCUMULATE {
                base = f32(c[to]);
            }
            c[to] = T3(base + sums[i]);
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn conv2d(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) local: u32) {
    let taps = p.cin * kernel_height() * kernel_width();
    let inner = select(taps, p.batch * p.to_height * p.to_width, WEIGHT_GRADIENT);
    let first = group.z * p.part;
    tile_product(group_number(group, groups), columns(), first, min(first + p.part, inner), local, group.z);
}
