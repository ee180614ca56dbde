//! The operations, one file each. The file of the same name in `autograd` holds the gradient, the one in `tests/ops` the tests, and
//! the one in `shaders` the GPU kernels.

pub(crate) mod argmax;
pub(crate) mod batch_norm;
pub(crate) mod bce;
pub(crate) mod binary;
pub(crate) mod bmm;
pub(crate) mod conv2d;
pub(crate) mod conv_transpose2d;
pub(crate) mod cumsum;
pub(crate) mod gather;
pub(crate) mod gaussian;
pub(crate) mod gradient_monitor;
pub(crate) mod group_norm;
pub(crate) mod grouped_conv2d;
pub(crate) mod interpolate;
pub(crate) mod layout;
pub(crate) mod matmul;
pub(crate) mod optimizer;
pub(crate) mod pool;
pub(crate) mod reduce;
pub(crate) mod reshape;
pub(crate) mod softmax;
pub(crate) mod unary;
pub(crate) mod where_cond;
pub(crate) mod winograd;

use crate::kernel::Kernel;

/// All kernels that operations launch.
pub static KERNELS: [&Kernel; 53] = [
    &argmax::ARGMAX,
    &batch_norm::BATCH_NORM,
    &batch_norm::BATCH_NORM_GRADIENT,
    &batch_norm::BATCH_NORM_GRADIENT_TRAIN,
    &batch_norm::BATCH_NORM_STATS,
    &batch_norm::BATCH_NORM_SUMS,
    &batch_norm::BATCH_NORM_TRAIN,
    &bce::BCE_WITH_LOGITS,
    &bce::BCE_WITH_LOGITS_GRADIENT,
    &binary::BLEND_ASSIGN,
    &binary::BINARY,
    &binary::BINARY_BROADCAST,
    &bmm::BMM,
    &conv2d::CONV2D,
    &conv_transpose2d::CONV_TRANSPOSE2D,
    &cumsum::CUMSUM,
    &gather::GATHER,
    &gather::GATHER_GRADIENT,
    &gather::INDEX_SELECT,
    &gaussian::GAUSSIAN_KL,
    &gaussian::GAUSSIAN_KL_GRADIENT,
    &gaussian::REPARAMETERISE,
    &gaussian::REPARAMETERISE_GRADIENT,
    &gather::INDEX_SELECT_GRADIENT,
    &gradient_monitor::GRADIENT_MONITOR,
    &gradient_monitor::GRADIENT_SQUARES,
    &gradient_monitor::GRADIENT_SQUARES_MANY,
    &group_norm::GROUP_NORM,
    &group_norm::GROUP_NORM_GRADIENT,
    &group_norm::GROUP_NORM_SUMS,
    &grouped_conv2d::FORWARD,
    &grouped_conv2d::INPUT_GRADIENT,
    &grouped_conv2d::WEIGHT_GRADIENT,
    &interpolate::INTERPOLATE,
    &interpolate::INTERPOLATE_GRADIENT,
    &crate::launch::LAYOUT_CONVERT,
    &crate::launch::LAYOUT_FILL,
    &crate::launch::LAYOUT_MOVE,
    &matmul::MATMUL,
    &optimizer::OPTIMIZER,
    &optimizer::OPTIMIZER_MANY,
    &pool::AVG_POOL2D,
    &pool::AVG_POOL2D_GRADIENT,
    &pool::MAX_POOL2D,
    &pool::MAX_POOL2D_GRADIENT,
    &reduce::REDUCE_COLUMNS,
    &reduce::REDUCE_ROWS,
    &softmax::LOGSUMEXP,
    &unary::UNARY,
    &unary::UNARY_GRADIENT,
    &where_cond::WHERE_COND,
    &winograd::WINOGRAD,
    &crate::random::DROPOUT_MASK,
];

/// Indices are whole numbers stored as f32. Panics if not every index below `bound` can be stored exactly.
#[track_caller]
fn check_index_bound(what: &str, bound: usize) {
    assert!(
        bound <= 1 << 24,
        "{what}: {bound} places to choose from; f32 holds indices exactly only up to 2²⁴ = 16777216"
    );
}
