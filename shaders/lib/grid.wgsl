// The item that an invocation works on. Workgroups are counted along x and, if there are more than one dimension of a grid may have,
// along y. Up to 255 invocations of the last workgroup have no item; their number is then at least the count of items.

const GROUP: u32 = 256u;

/// The number of a workgroup.
fn group_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}

/// The number of an invocation, counted through workgroups of GROUP.
fn item_number(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return group_number(group, groups) * GROUP + local;
}
