import Kernels

/// Kernels on packed operands: what they do and what their parameters are is said in `Kernels/include/`, in the headers
/// named here.
package struct PackedKernels<Scalar>: @unchecked Sendable {
  package typealias In = UnsafePointer<Scalar>
  package typealias Out = UnsafeMutablePointer<Scalar>
  package typealias Window = UnsafePointer<covpool_window>
  package typealias Job = UnsafePointer<covpool_convolution>

  // convolution.h
  package let convolution:
    (covpool_window, Int, Int, In?, In?, In?, In?, In?, covpool_activation, Out?) -> covpool_convolution
  package let packWeights: (Window, Int, In, Int, Int, Int32, In?, Int, Int, Out) -> Void
  package let weightGradient: (Job, In, Int, Int, Out, Out) -> Void
  package let collectWeightGradient: (Job, In, Int, Int, Int, Out) -> Void

  // strassen.h
  package let strassenScales: (Window, In, Int, Int, In?, Int, Int, Out, Out) -> Void

  // winograd.h
  package let winogradWeights: (Window, Int, In, Int, Int, Int32, In?, Int, Int, Out) -> Void
  package let winogradColumns: (Job, Int, Int, Int, Out) -> Void
  package let winogradRows: (Job, In, Int, Int, Int, Out) -> Void
  package let winogradSum: (Job, Int, Int, Int32, In, In, Out) -> Void
  package let winogradWeightGradient: (Job, In, Int, Int, Out) -> Void

  // linear.h
  package let linear: (In, Int, In, Int, Int, Int, Int, Out) -> Void
  package let packLinear: (In, Int, Int, Int, Out) -> Void
  package let packImages: (In, Int, Int, Int, Int, Out) -> Void
  package let linearPanel: (In, Int, In, In?, covpool_activation, Int, Int, Int, Out) -> Void

  // symmetric.h
  let toPanels: (In, Int, Int, Scalar, Out) -> Void
  let toPanelsTransposed: (In, Int, Int, Out) -> Void
  let fromPanels: (In, Int, Scalar, Out) -> Void
  let fromPanelsTransposed: (In, Int, Int, Out) -> Void
  let panelsMultiply: (Int, Int, Int, In, In, Scalar, Scalar, In?, Scalar, Int32, Int, Int, Out) -> Void
  let panelsMultiplyToRows: (Int, Int, In, In, Int, Int, Out) -> Void
  let panelsMultiplySymmetrized: (Int, Scalar, In, Scalar, In, In, Int, Int, Out) -> Void
  let panelsCombine: (Int, Scalar, In, Scalar, In, Scalar, Out) -> Void
}

extension PackedKernels<Float> {
  static let single = Self(
    convolution: covpool_convolution.init, packWeights: covpool_pack_weights,
    weightGradient: covpool_weight_gradient, collectWeightGradient: covpool_collect_weight_gradient,
    strassenScales: covpool_strassen_scales, winogradWeights: covpool_winograd_weights,
    winogradColumns: covpool_winograd_columns, winogradRows: covpool_winograd_rows,
    winogradSum: covpool_winograd_sum, winogradWeightGradient: covpool_winograd_weight_gradient,
    linear: covpool_linear, packLinear: covpool_pack_linear, packImages: covpool_pack_images,
    linearPanel: covpool_linear_panel, toPanels: covpool_to_panels,
    toPanelsTransposed: covpool_to_panels_transposed, fromPanels: covpool_from_panels,
    fromPanelsTransposed: covpool_from_panels_transposed,
    panelsMultiply: covpool_paneled_multiply, panelsMultiplyToRows: covpool_paneled_multiply_to_rows,
    panelsMultiplySymmetrized: covpool_paneled_multiply_symmetrized,
    panelsCombine: covpool_paneled_combine)
}
