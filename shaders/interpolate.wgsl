// Resizing images. Row i of the result corresponds to the fractional row r of the image, between row ⌊r⌋ and the next; the same holds
// for columns. r is a fraction of whole numbers, so that its position is exact:
//   nearest: ⌊i·from/to⌋   bilinear: max((2i + 1)·from − to, 0) / 2·to   bilinear with aligned corners: i·(from − 1) / (to − 1)
// In the adjoint, each pixel of the image adds up its share of all pixels of the result to which it contributed.
// Grid: one invocation for each pixel of the result, or, in the adjoint, of the image.

struct Params {
    planes: u32, // batch · channels
    height: u32, // of the image
    width: u32,
    to_height: u32, // of the result
    to_width: u32,
}

const NEAREST: u32 = 0u;
const BILINEAR: u32 = 1u; // 2: with aligned corners
override HOW: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<T0>; // the image, or the gradient of the result
@group(0) @binding(1) var<storage, read_write> y: array<T1>;
@group(1) @binding(0) var<uniform> p: Params;

// The two pixels of the image around one of the result, and the weight of the second.
struct Between {
    first: u32,
    second: u32,
    share: f32,
}

fn between(i: u32, size: u32, to: u32) -> Between {
    var above: u32; // r = above / below
    var below: u32;
    if HOW == NEAREST {
        above = i * size / to;
        below = 1u;
    } else if HOW == BILINEAR {
        above = (2u * i + 1u) * size;
        above = select(0u, above - to, above > to);
        below = 2u * to;
    } else {
        above = i * (size - 1u);
        below = max(to, 2u) - 1u;
    }
    let first = min(above / below, size - 1u);
    return Between(first, min(first + 1u, size - 1u), f32(above - first * below) / f32(below));
}

// The weight of pixel `of_pixel` of the image in pixel i of the result.
fn share_of(i: u32, of_pixel: u32, size: u32, to: u32) -> f32 {
    let b = between(i, size, to);
    return select(0.0, 1.0 - b.share, b.first == of_pixel) + select(0.0, b.share, b.second == of_pixel);
}

// The range of pixels of the result to which a pixel of the image may contribute: from x up to, but not including, y.
fn contributing_range(pixel: u32, size: u32, to: u32) -> vec2<u32> {
    if HOW > BILINEAR {
        let step = max(size, 2u) - 1u;
        let low = select(0u, (pixel - 1u) * (to - 1u) / step, pixel > 0u && size > 1u);
        let high = select((pixel + 1u) * (to - 1u) / step + 2u, to, size == 1u);
        return vec2(low, min(high, to));
    }
    let low = select(0u, (2u * pixel - 2u) * to / (2u * size), pixel > 0u);
    return vec2(select(0u, low - 1u, low > 0u), min((2u * pixel + 4u) * to / (2u * size) + 2u, to));
}

@compute @workgroup_size(256)
fn interpolate(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
               @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    let pixels = p.to_height * p.to_width;
    if item >= p.planes * pixels {
        return;
    }
    let plane = item / pixels * p.height * p.width;
    let v = between(item % pixels / p.to_width, p.height, p.to_height);
    let h = between(item % p.to_width, p.width, p.to_width);
    let above = plane + v.first * p.width;
    let below = plane + v.second * p.width;
    let left = (1.0 - v.share) * f32(x[above + h.first]) + v.share * f32(x[below + h.first]);
    let right = (1.0 - v.share) * f32(x[above + h.second]) + v.share * f32(x[below + h.second]);
    y[item] = T1((1.0 - h.share) * left + h.share * right);
}

@compute @workgroup_size(256)
fn interpolate_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                        @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    let pixels = p.height * p.width;
    if item >= p.planes * pixels {
        return;
    }
    let plane = item / pixels * p.to_height * p.to_width;
    let row = item % pixels / p.width;
    let column = item % p.width;
    let rows = contributing_range(row, p.height, p.to_height);
    let columns = contributing_range(column, p.width, p.to_width);
    var sum = 0.0;
    for (var i = rows.x; i < rows.y; i++) {
        var line = 0.0;
        for (var j = columns.x; j < columns.y; j++) {
            line += share_of(j, column, p.width, p.to_width) * f32(x[plane + i * p.to_width + j]);
        }
        sum += share_of(i, row, p.height, p.to_height) * line;
    }
    y[item] = T1(sum);
}
