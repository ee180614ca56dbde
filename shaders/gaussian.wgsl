// Draws from Gaussians and their divergence from the standard one:  z = μ + e^(logvar/2)·ε,   y = ½ (μ² + e^logvar − 1 − logvar).
// Grid: one invocation for every four numbers. The last four may reach into the padding of the buffers.

struct Params {
    quads: u32,
}

@group(0) @binding(0) var<storage, read> mu: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> logvar: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> eps: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> z: array<vec4<f32>>;

@group(0) @binding(0) var<storage, read> dz: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dlogvar: array<vec4<f32>>;

@group(0) @binding(2) var<storage, read_write> kl: array<vec4<f32>>;

@group(0) @binding(0) var<storage, read> dkl: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> kl_mu: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> kl_logvar: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> kl_dmu: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> kl_dlogvar: array<vec4<f32>>;

@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn reparameterise(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                  @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < p.quads {
        z[i] = mu[i] + exp_(0.5 * logvar[i]) * eps[i];
    }
}

@compute @workgroup_size(256)
fn reparameterise_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < p.quads {
        dlogvar[i] = dz[i] * (0.5 * exp_(0.5 * logvar[i]) * eps[i]);
    }
}

@compute @workgroup_size(256)
fn gaussian_kl(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
               @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < p.quads {
        kl[i] = 0.5 * (mu[i] * mu[i] + exp_(logvar[i]) - (logvar[i] + 1.0));
    }
}

@compute @workgroup_size(256)
fn gaussian_kl_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                        @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < p.quads {
        kl_dmu[i] = dkl[i] * kl_mu[i];
        kl_dlogvar[i] = 0.5 * dkl[i] * (exp_(kl_logvar[i]) - 1.0);
    }
}
