// Convolution in groups of channels, with gaps between the taps of the kernel, and its gradients:
//   y[n, o, i, j] = bias[o] + Σ_{c,u,v} w[o, c, u, v]·x[n, g·C + c, s·i + d·u − p, s·j + d·v − p]
// for the C channels of the group g of o, where x is 0 outside the image.
// Grid: one invocation for each number of the result.

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
    dilation: u32,
    groups: u32,
}

override BIASED: bool = false;

@group(0) @binding(0) var<storage, read> w: array<f32>; // dy for the gradient of the weight
@group(0) @binding(1) var<storage, read> x: array<f32>; // dy for the gradient of the input
@group(0) @binding(2) var<storage, read> bias: array<f32>; // any buffer if there is none
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn grouped_conv2d(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                  @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.batch * p.cout * p.to_height * p.to_width {
        return;
    }
    let j = item % p.to_width;
    let i = item / p.to_width % p.to_height;
    let o = item / (p.to_width * p.to_height) % p.cout;
    let n = item / (p.to_width * p.to_height * p.cout);
    let channels = p.cin / p.groups;
    let first = o / (p.cout / p.groups) * channels;
    var sum = 0.0;
    if BIASED {
        sum = bias[o];
    }
    for (var c = 0u; c < channels; c++) {
        for (var u = 0u; u < p.kernel_height; u++) {
            let row = p.stride * i + p.dilation * u - p.padding; // below 0 it wraps to a large number
            for (var v = 0u; v < p.kernel_width; v++) {
                let column = p.stride * j + p.dilation * v - p.padding;
                if row < p.height && column < p.width {
                    let tap = ((o * channels + c) * p.kernel_height + u) * p.kernel_width + v;
                    sum += w[tap] * x[((n * p.cin + first + c) * p.height + row) * p.width + column];
                }
            }
        }
    }
    y[item] = sum;
}

@compute @workgroup_size(256)
fn grouped_conv2d_input_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                                 @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.batch * p.cin * p.height * p.width {
        return;
    }
    let column = item % p.width;
    let row = item / p.width % p.height;
    let channel = item / (p.width * p.height) % p.cin;
    let n = item / (p.width * p.height * p.cin);
    let channels = p.cin / p.groups;
    let outputs = p.cout / p.groups;
    let first = channel / channels * outputs;
    var sum = 0.0;
    for (var o = first; o < first + outputs; o++) {
        for (var u = 0u; u < p.kernel_height; u++) {
            let i = row + p.padding - p.dilation * u; // times the stride; below 0 it wraps to a large number
            for (var v = 0u; v < p.kernel_width; v++) {
                let j = column + p.padding - p.dilation * v;
                let whole = i % p.stride == 0u && j % p.stride == 0u;
                if whole && i / p.stride < p.to_height && j / p.stride < p.to_width
                    && p.dilation * u <= row + p.padding && p.dilation * v <= column + p.padding {
                    let tap = ((o * channels + channel % channels) * p.kernel_height + u) * p.kernel_width + v;
                    let at = ((n * p.cout + o) * p.to_height + i / p.stride) * p.to_width + j / p.stride;
                    sum += w[tap] * x[at];
                }
            }
        }
    }
    gradient[item] = sum;
}

@compute @workgroup_size(256)
fn grouped_conv2d_weight_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                                  @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    let channels = p.cin / p.groups;
    if item >= p.cout * channels * p.kernel_height * p.kernel_width {
        return;
    }
    let v = item % p.kernel_width;
    let u = item / p.kernel_width % p.kernel_height;
    let c = item / (p.kernel_width * p.kernel_height) % channels;
    let o = item / (p.kernel_width * p.kernel_height * channels);
    let first = o / (p.cout / p.groups) * channels;
    var sum = 0.0;
    for (var n = 0u; n < p.batch; n++) {
        for (var i = 0u; i < p.to_height; i++) {
            let row = p.stride * i + p.dilation * u - p.padding; // below 0 it wraps to a large number
            for (var j = 0u; j < p.to_width; j++) {
                let column = p.stride * j + p.dilation * v - p.padding;
                if row < p.height && column < p.width {
                    let at = ((n * p.cin + first + c) * p.height + row) * p.width + column;
                    sum += w[((n * p.cout + o) * p.to_height + i) * p.to_width + j] * x[at];
                }
            }
        }
    }
    gradient[item] = sum;
}
