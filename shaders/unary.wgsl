// y = f(x),  dx = dy · f′(kept): functions of one number, in the order of the table in tensor/src/ops/unary.rs.
// Grid: one invocation for every four numbers. The last four may reach into the padding of the buffers.

struct Params {
    a: f32, // parameters of the function
    b: f32,
    quads: u32,
}

override FUNCTION: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<vec4<T0>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<T1>>;

@group(0) @binding(0) var<storage, read> kept: array<vec4<T0>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<T1>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<T2>>;

@group(1) @binding(0) var<uniform> p: Params;

// 2·√(2/π)·(x + 0.044715·x³)
fn gelu_slope(x: vec4<f32>) -> vec4<f32> {
    return 1.59576912 * (x + 0.044715 * x * x * x);
}

fn f(x: vec4<f32>) -> vec4<f32> {
    switch FUNCTION {
        case 0u: { return select(x, vec4(0.0), x < vec4(0.0)); } // relu
        case 1u: { return select(p.a * x, x, x > vec4(0.0)); } // leaky_relu
        case 2u: { return logistic(x); } // sigmoid
        case 3u: { return tanh_(x); } // tanh
        case 4u: { return exp_(x); } // exp
        case 5u: { return log_(x); } // log
        case 6u: { return sqrt(x); } // sqrt
        case 7u: { return abs(x); } // abs
        case 8u: { return x * x; } // square
        case 9u: { return select(x, vec4(0.0), x < vec4(0.0)) + log_1p(exp_(-abs(x))); } // softplus
        case 10u: { return select(select(x, vec4(p.b), x > vec4(p.b)), vec4(p.a), x < vec4(p.a)); } // clamp
        case 11u: { return x + p.a; } // add_scalar
        case 12u: { return p.a * x; } // mul_scalar
        case 13u: { return x / p.a; } // div_scalar
        case 14u: { return pow_(x, p.a); } // pow
        case 15u: { return sine(x, 0u); } // sin
        case 16u: { return sine(x, 1u); } // cos
        case 17u: { return round_(x); } // round
        case 18u: { return x * logistic(x); } // silu
        case 19u: { return x * normal_cdf(x); } // gelu
        case 20u: { return x * logistic(gelu_slope(x)); } // gelu_tanh
        default: { return x; }
    }
}

fn df(k: vec4<f32>) -> vec4<f32> {
    let zero = vec4(0.0);
    let one = vec4(1.0);
    switch FUNCTION {
        case 0u: { return select(zero, one, k > zero); } // relu
        case 1u: { return select(vec4(p.a), one, k > zero); } // leaky_relu
        case 2u: { return k * (1.0 - k); } // sigmoid
        case 3u: { return 1.0 - k * k; } // tanh
        case 4u: { return k; } // exp
        case 5u: { return 1.0 / k; } // log
        case 6u: { return 0.5 / k; } // sqrt
        case 7u: { return sign(k); } // abs
        case 8u: { return 2.0 * k; } // square
        case 9u: { return logistic(k); } // softplus
        case 10u: { return select(one, zero, (k < vec4(p.a)) | (k > vec4(p.b))); } // clamp
        case 12u: { return vec4(p.a); } // mul_scalar
        case 13u: { return vec4(1.0 / p.a); } // div_scalar
        case 14u: { return select(p.a * pow_(k, p.a - 1.0), zero, vec4(p.a == 0.0)); } // pow
        case 15u: { return sine(k, 1u); } // sin
        case 16u: { return -sine(k, 0u); } // cos
        case 17u: { return zero; } // round
        case 18u: { return logistic(k) + k * (logistic(k) * logistic(-k)); } // silu
        case 19u: { return normal_cdf(k) + k * normal_density(k); } // gelu
        case 20u: { // gelu_tanh
            let v = gelu_slope(k);
            let slope = 1.59576912 * (1.0 + 0.134145 * k * k);
            return logistic(v) + k * (logistic(v) * logistic(-v)) * slope;
        }
        default: { return one; } // add_scalar
    }
}

@compute @workgroup_size(256)
fn unary(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < p.quads {
        y[i] = vec4<T1>(f(vec4<f32>(x[i])));
    }
}

@compute @workgroup_size(256)
fn unary_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                  @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < p.quads {
        dx[i] = vec4<T2>(vec4<f32>(dy[i]) * df(vec4<f32>(kept[i])));
    }
}
