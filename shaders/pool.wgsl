// Pooling over square windows:  max: the largest pixel inside the image;  avg: Σ / k², where pixels outside count as zeros.
// In the gradients, each pixel adds up the contributions of all windows that it is in. The maximum of a window, the first one if
// several pixels are equal, is found again, so that nothing needs to be saved.
// Grid: one invocation for each number of the result, or, in the gradients, for each pixel of the image.

struct Params {
    planes: u32, // batch · channels
    height: u32,
    width: u32,
    to_height: u32,
    to_width: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T0>;
@group(0) @binding(1) var<storage, read_write> y: array<T1>;
@group(1) @binding(0) var<uniform> p: Params;

@group(0) @binding(0) var<storage, read> dy: array<T0>;
@group(0) @binding(1) var<storage, read_write> dx: array<T1>;

@group(0) @binding(0) var<storage, read> image: array<T0>;
@group(0) @binding(1) var<storage, read> from_above: array<T1>;
@group(0) @binding(2) var<storage, read_write> dimage: array<T2>;

// By its bits, because a compiler may assume that no number is NaN.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// The pixels of a window along one dimension: from x up to, but not including, y.
fn window(place: u32, size: u32) -> vec2<u32> {
    let start = place * p.stride;
    return vec2(max(start, p.padding) - p.padding, min(start + p.kernel - p.padding, size));
}

// The windows, out of `count`, that a pixel is in along one dimension: from x up to, but not including, y.
fn windows(pixel: u32, count: u32) -> vec2<u32> {
    let place = pixel + p.padding;
    let low = select(0u, (place - p.kernel) / p.stride + 1u, place >= p.kernel);
    return vec2(low, min(place / p.stride + 1u, count));
}

@compute @workgroup_size(256)
fn max_pool2d(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
              @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    let places = p.to_height * p.to_width;
    if item >= p.planes * places {
        return;
    }
    let plane = item / places * p.height * p.width;
    let rows = window(item % places / p.to_width, p.height);
    let columns = window(item % p.to_width, p.width);
    var largest = x[plane + rows.x * p.width + columns.x];
    for (var i = rows.x; i < rows.y; i++) {
        for (var j = columns.x; j < columns.y; j++) {
            let here = x[plane + i * p.width + j];
            largest = select(largest, here, here > largest || is_nan(f32(here)));
        }
    }
    y[item] = T1(largest);
}

@compute @workgroup_size(256)
fn max_pool2d_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                       @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    let pixels = p.height * p.width;
    if item >= p.planes * pixels {
        return;
    }
    let plane = item / pixels;
    let vertical = windows(item % pixels / p.width, p.to_height);
    let horizontal = windows(item % p.width, p.to_width);
    var sum = 0.0;
    for (var i = vertical.x; i < vertical.y; i++) {
        let rows = window(i, p.height);
        for (var j = horizontal.x; j < horizontal.y; j++) {
            let columns = window(j, p.width);
            var best = plane * pixels + rows.x * p.width + columns.x;
            for (var row = rows.x; row < rows.y; row++) {
                for (var column = columns.x; column < columns.y; column++) {
                    let here = plane * pixels + row * p.width + column;
                    best = select(best, here, image[here] > image[best] || is_nan(f32(image[here])));
                }
            }
            sum += select(0.0, f32(from_above[(plane * p.to_height + i) * p.to_width + j]), best == item);
        }
    }
    dimage[item] = T2(sum);
}

@compute @workgroup_size(256)
fn avg_pool2d(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
              @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    let places = p.to_height * p.to_width;
    if item >= p.planes * places {
        return;
    }
    let plane = item / places * p.height * p.width;
    let rows = window(item % places / p.to_width, p.height);
    let columns = window(item % p.to_width, p.width);
    var sum = 0.0;
    for (var i = rows.x; i < rows.y; i++) {
        for (var j = columns.x; j < columns.y; j++) {
            sum += f32(x[plane + i * p.width + j]);
        }
    }
    y[item] = T1(sum / f32(p.kernel * p.kernel));
}

@compute @workgroup_size(256)
fn avg_pool2d_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                       @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    let pixels = p.height * p.width;
    if item >= p.planes * pixels {
        return;
    }
    let plane = item / pixels;
    let vertical = windows(item % pixels / p.width, p.to_height);
    let horizontal = windows(item % p.width, p.to_width);
    var sum = 0.0;
    for (var i = vertical.x; i < vertical.y; i++) {
        for (var j = horizontal.x; j < horizontal.y; j++) {
            sum += f32(dy[(plane * p.to_height + i) * p.to_width + j]);
        }
    }
    dx[item] = T1(sum / f32(p.kernel * p.kernel));
}
