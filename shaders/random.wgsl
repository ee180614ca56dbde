// Dropout masks, drawn on the device from the same ChaCha8 bits as the CPU's generator (tensor/src/random.rs).
//   u = (word ≫ 8)·2⁻²⁴,   mask = 0 where u < p, else 1/(1 − p)
// Grid: one invocation for each block of ChaCha, sixteen words.

struct Params {
    key: array<vec4<u32>, 2>,
    block: vec2<u32>, // the first block's number: low word, high word
    stream: vec2<u32>,
    skipped: u32, // words of the first block that are not used
    count: u32,
    probability: f32,
    keep: f32,
}

@group(0) @binding(0) var<storage, read_write> mask: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn rotated(x: vec4<u32>, by: u32) -> vec4<u32> {
    return (x << vec4(by)) | (x >> vec4(32u - by));
}

// Four quarter rounds in parallel, on the rows of the 4 × 4 state (RFC 8439, 2.1).
fn quarters(rows: ptr<function, array<vec4<u32>, 4>>) {
    var a = (*rows)[0];
    var b = (*rows)[1];
    var c = (*rows)[2];
    var d = (*rows)[3];
    a += b; d = rotated(d ^ a, 16u);
    c += d; b = rotated(b ^ c, 12u);
    a += b; d = rotated(d ^ a, 8u);
    c += d; b = rotated(b ^ c, 7u);
    (*rows)[0] = a;
    (*rows)[1] = b;
    (*rows)[2] = c;
    (*rows)[3] = d;
}

@compute @workgroup_size(256)
fn dropout_mask(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item * 16u >= p.count + p.skipped {
        return;
    }
    let low = p.block.x + item;
    let start = array<vec4<u32>, 4>(
        vec4(0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u), // "expand 32-byte k"
        p.key[0],
        p.key[1],
        vec4(low, p.block.y + select(0u, 1u, low < item), p.stream),
    );
    var rows = start;
    for (var i = 0u; i < 4u; i++) { // eight rounds: columns, then diagonals
        quarters(&rows);
        rows[1] = rows[1].yzwx;
        rows[2] = rows[2].zwxy;
        rows[3] = rows[3].wxyz;
        quarters(&rows);
        rows[1] = rows[1].wxyz;
        rows[2] = rows[2].zwxy;
        rows[3] = rows[3].yzwx;
    }
    for (var r = 0u; r < 4u; r++) {
        let words = rows[r] + start[r];
        for (var i = 0u; i < 4u; i++) {
            let place = item * 16u + r * 4u + i;
            if place >= p.skipped && place - p.skipped < p.count {
                let u = f32(words[i] >> 8u) * 5.9604644775390625e-8; // 2⁻²⁴, exact
                mask[place - p.skipped] = select(p.keep, 0.0, u < p.probability);
            }
        }
    }
}
