// c = a ∘ b: sums, differences, products, quotients and comparisons, with broadcasting.
// Grid: one invocation for every four numbers if the shapes are equal, and for every number if they broadcast.

struct Params {
    count: u32, // of items
}

struct Broadcast {
    sizes: array<vec4<u32>, 2>, // of the result, outermost first, padded in front by 1
    a_steps: array<vec4<u32>, 2>, // strides, 0 where an operand is repeated
    b_steps: array<vec4<u32>, 2>,
    count: u32,
}

struct Blend {
    count: u32,
    kept: f32,
    gain: f32,
}

override FUNCTION: u32 = 0u;

@group(0) @binding(0) var<storage, read> a4: array<vec4<T0>>;
@group(0) @binding(1) var<storage, read> b4: array<vec4<T1>>;
@group(0) @binding(2) var<storage, read_write> c4: array<vec4<T2>>;
@group(1) @binding(0) var<uniform> p: Params;

@group(0) @binding(0) var<storage, read> a: array<T0>;
@group(0) @binding(1) var<storage, read> b: array<T1>;
@group(0) @binding(2) var<storage, read_write> c: array<T2>;
@group(1) @binding(0) var<uniform> wide: Broadcast;

@group(0) @binding(0) var<storage, read> added: array<vec4<T0>>;
@group(0) @binding(1) var<storage, read_write> sum: array<vec4<T1>>;
@group(1) @binding(0) var<uniform> blend: Blend;

fn f(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    switch FUNCTION {
        case 0u: { return a + b; } // add
        case 1u: { return a - b; } // sub
        case 2u: { return a * b; } // mul
        case 4u: { return select(vec4(0.0), vec4(1.0), a == b); } // eq
        case 5u: { return select(vec4(1.0), vec4(0.0), a == b); } // ne: a driver's a != b may be false for NaN
        case 6u: { return select(vec4(0.0), vec4(1.0), a < b); } // lt
        case 7u: { return select(vec4(0.0), vec4(1.0), a <= b); } // le
        case 8u: { return select(vec4(0.0), vec4(1.0), a > b); } // gt
        case 9u: { return select(vec4(0.0), vec4(1.0), a >= b); } // ge
        default: { return a / b; } // div
    }
}

@compute @workgroup_size(256)
fn binary(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < p.count {
        c4[i] = vec4<T2>(f(vec4<f32>(a4[i]), vec4<f32>(b4[i])));
    }
}

@compute @workgroup_size(256)
fn binary_broadcast(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i >= wide.count {
        return;
    }
    var rest = i;
    var at_a = 0u;
    var at_b = 0u;
    for (var d = 8u; d > 0u && rest > 0u; d--) {
        let size = wide.sizes[(d - 1u) / 4u][(d - 1u) % 4u];
        let index = rest % size;
        rest /= size;
        at_a += index * wide.a_steps[(d - 1u) / 4u][(d - 1u) % 4u];
        at_b += index * wide.b_steps[(d - 1u) / 4u][(d - 1u) % 4u];
    }
    c[i] = T2(f(vec4(f32(a[at_a])), vec4(f32(b[at_b]))).x);
}

// sum = kept·sum + gain·added
@compute @workgroup_size(256)
fn blend_assign(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < blend.count {
        sum[i] = vec4<T1>(blend.kept * vec4<f32>(sum[i]) + blend.gain * vec4<f32>(added[i]));
    }
}
