import Kernels

/// The kernels of one precision, `Kernels/include/scalar_kernels.h`: what they do and what their parameters are is said in
/// the lists named here.
package struct ScalarKernels<Scalar>: @unchecked Sendable {
  package typealias In = UnsafePointer<Scalar>
  package typealias Out = UnsafeMutablePointer<Scalar>
  package typealias Doubles = UnsafeMutablePointer<Double>
  package typealias Window = UnsafePointer<covpool_window>
  package typealias Batch = UnsafePointer<covpool_batch>

  // convolution/scalar_list.h
  package let im2col: (Window, In, Int, Int, Out) -> Void
  package let col2im: (Window, In, Int, Int, Out) -> Void
  package let epilogue: (Out, Int, In?, In?, Int, covpool_activation, Int, Int) -> Void

  // depthwise/list.h
  package let depthwiseScratch: (Window) -> Int
  package let depthwiseConvolve: (Window, In, In, In?, In?, covpool_activation, Int, Int, Out, Out) -> Void
  package let depthwiseInputGradient: (Window, In, In, In?, Int, Int, Out, Out) -> Void
  package let depthwiseWeightGradient: (Window, In, In, Int, Int, Out, Doubles) -> Void

  // elementwise/list.h
  package let activate: (covpool_activation, In, Out, Int) -> Void
  package let activationGradient: (covpool_activation, In, In, Out, Int) -> Void
  package let add: (In, In, Out, Int) -> Void
  package let subtract: (In, In, Out, Int) -> Void
  package let multiply: (In, In, Out, Int) -> Void
  package let scale: (In, Scalar, Out, Int) -> Void
  package let accumulate: (Scalar, In, Out, Int) -> Void
  package let blend: (In, Scalar, Out, Int) -> Void
  package let drop: (In, In, Scalar, Scalar, Out, Int) -> Void
  package let sumRows: (In, Int, Int, Int, Doubles) -> Void
  package let dot: (In, In, Int) -> Double
  package let allFinite: (In, Int) -> Int32
  package let toDouble: (In, Doubles, Int) -> Void
  package let fromDouble: (UnsafePointer<Double>, Out, Int) -> Void
  package let multiplyByDouble: (UnsafePointer<Double>, Out, Int) -> Void
  package let signedRoot: (In, Scalar, Out, Int) -> Void
  package let signedRootGradient: (In, Scalar, In, Out, Int) -> Void
  package let uniform: (UInt64, UInt64, Scalar, Scalar, Out, Int) -> Void
  package let sgdStep: (Out, In, Out, Scalar, Scalar, Scalar, Int32, Int) -> Void
  package let adamWStep: (Out, In, Out, Out, Scalar, Scalar, Scalar, Scalar, Scalar, Scalar, Int) -> Void
  package let normal: (UInt64, UInt64, Scalar, Out, Int) -> Void

  // matrix/list.h
  package let upperTriangle: (In, Out, Int) -> Void
  package let fromUpperTriangle: (In, Out, Int) -> Void
  package let mirrorUpper: (Out, Int) -> Void
  package let mirrorLower: (Out, Int) -> Void
  package let transpose: (In, Int, Int, Int, Out, Int) -> Void
  package let plusTranspose: (In, Out, Int) -> Void
  package let combine: (Scalar, In, Scalar, In, Scalar, Out, Int) -> Void
  package let symmetrize: (Scalar, In, Scalar, Out, Int) -> Void
  package let center: (In, Double, Out, Int, Int) -> Double
  package let centerToDouble: (In, Double, Doubles, Int, Int) -> Double

  // normalization/list.h
  package let batchMoments: (Batch, In, Doubles, Doubles) -> Void
  package let batchAffine: (Batch, In, In, In, In?, covpool_activation, Out) -> Void
  package let batchGradientSums: (Batch, In, In, covpool_activation, In?, In, Out?, Doubles, Doubles) -> Void
  package let batchCombine: (Batch, In, In, covpool_activation, In?, In, In, In, Out) -> Void
  package let layerNorm: (In, Scalar, Scalar, In, In, Out, Int) -> Void
  package let layerNormGradient: (In, Scalar, Scalar, In, In, Out, Out, Out, Int) -> Void

  // pooling/list.h
  package let maxPool: (Window, In, Out, Out) -> Void
  package let maxPoolGradient: (Window, In, In, Out) -> Void
  package let averagePool: (Window, In, Out) -> Void
  package let averagePoolGradient: (Window, In, Out) -> Void
  package let rowMeans: (In, Out, Int, Int) -> Void
  package let padChannels: (Window, In, Int, Int, Out) -> Void
  package let padChannelsGradient: (Window, In, Int, Int, Out) -> Void

  /// Sets all to a value.
  package let fill: (Out, Scalar, Int) -> Void
}

extension ScalarKernels<Float> {
  static let single = Self(
    im2col: covpool_im2col_f32, col2im: covpool_col2im_f32, epilogue: covpool_epilogue_f32,
    depthwiseScratch: covpool_depthwise_scratch_f32, depthwiseConvolve: covpool_depthwise_convolve_f32,
    depthwiseInputGradient: covpool_depthwise_input_gradient_f32,
    depthwiseWeightGradient: covpool_depthwise_weight_gradient_f32, activate: covpool_activate_f32,
    activationGradient: covpool_activation_gradient_f32, add: covpool_add_f32, subtract: covpool_subtract_f32,
    multiply: covpool_multiply_f32, scale: covpool_scale_f32, accumulate: covpool_accumulate_f32,
    blend: covpool_blend_f32, drop: covpool_drop_f32, sumRows: covpool_sum_rows_f32, dot: covpool_dot_f32,
    allFinite: covpool_all_finite_f32, toDouble: covpool_to_double_f32, fromDouble: covpool_from_double_f32,
    multiplyByDouble: covpool_multiply_by_double_f32, signedRoot: covpool_signed_root_f32,
    signedRootGradient: covpool_signed_root_gradient_f32, uniform: covpool_uniform_f32,
    sgdStep: covpool_sgd_step_f32, adamWStep: covpool_adamw_step_f32, normal: covpool_normal_f32,
    upperTriangle: covpool_upper_triangle_f32, fromUpperTriangle: covpool_from_upper_triangle_f32,
    mirrorUpper: covpool_mirror_upper_f32, mirrorLower: covpool_mirror_lower_f32, transpose: covpool_transpose_f32,
    plusTranspose: covpool_plus_transpose_f32, combine: covpool_combine_f32, symmetrize: covpool_symmetrize_f32,
    center: covpool_center_f32, centerToDouble: covpool_center_to_double_f32,
    batchMoments: covpool_batch_moments_f32, batchAffine: covpool_batch_affine_f32,
    batchGradientSums: covpool_batch_gradient_sums_f32, batchCombine: covpool_batch_combine_f32,
    layerNorm: covpool_layer_norm_f32, layerNormGradient: covpool_layer_norm_gradient_f32,
    maxPool: covpool_max_pool_f32, maxPoolGradient: covpool_max_pool_gradient_f32,
    averagePool: covpool_average_pool_f32, averagePoolGradient: covpool_average_pool_gradient_f32,
    rowMeans: covpool_row_means_f32, padChannels: covpool_pad_channels_f32,
    padChannelsGradient: covpool_pad_channels_gradient_f32, fill: { $0.update(repeating: $1, count: $2) })
}

extension ScalarKernels<Double> {
  static let double = Self(
    im2col: covpool_im2col_f64, col2im: covpool_col2im_f64, epilogue: covpool_epilogue_f64,
    depthwiseScratch: covpool_depthwise_scratch_f64, depthwiseConvolve: covpool_depthwise_convolve_f64,
    depthwiseInputGradient: covpool_depthwise_input_gradient_f64,
    depthwiseWeightGradient: covpool_depthwise_weight_gradient_f64, activate: covpool_activate_f64,
    activationGradient: covpool_activation_gradient_f64, add: covpool_add_f64, subtract: covpool_subtract_f64,
    multiply: covpool_multiply_f64, scale: covpool_scale_f64, accumulate: covpool_accumulate_f64,
    blend: covpool_blend_f64, drop: covpool_drop_f64, sumRows: covpool_sum_rows_f64, dot: covpool_dot_f64,
    allFinite: covpool_all_finite_f64, toDouble: covpool_to_double_f64, fromDouble: covpool_from_double_f64,
    multiplyByDouble: covpool_multiply_by_double_f64, signedRoot: covpool_signed_root_f64,
    signedRootGradient: covpool_signed_root_gradient_f64, uniform: covpool_uniform_f64,
    sgdStep: covpool_sgd_step_f64, adamWStep: covpool_adamw_step_f64, normal: covpool_normal_f64,
    upperTriangle: covpool_upper_triangle_f64, fromUpperTriangle: covpool_from_upper_triangle_f64,
    mirrorUpper: covpool_mirror_upper_f64, mirrorLower: covpool_mirror_lower_f64, transpose: covpool_transpose_f64,
    plusTranspose: covpool_plus_transpose_f64, combine: covpool_combine_f64, symmetrize: covpool_symmetrize_f64,
    center: covpool_center_f64, centerToDouble: covpool_center_to_double_f64,
    batchMoments: covpool_batch_moments_f64, batchAffine: covpool_batch_affine_f64,
    batchGradientSums: covpool_batch_gradient_sums_f64, batchCombine: covpool_batch_combine_f64,
    layerNorm: covpool_layer_norm_f64, layerNormGradient: covpool_layer_norm_gradient_f64,
    maxPool: covpool_max_pool_f64, maxPoolGradient: covpool_max_pool_gradient_f64,
    averagePool: covpool_average_pool_f64, averagePoolGradient: covpool_average_pool_gradient_f64,
    rowMeans: covpool_row_means_f64, padChannels: covpool_pad_channels_f64,
    padChannelsGradient: covpool_pad_channels_gradient_f64, fill: { $0.update(repeating: $1, count: $2) })
}
