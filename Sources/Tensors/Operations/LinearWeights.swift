import Kernels

/// The weights of a fully connected layer that is used again and again, packed in the order in which they are read: a layer of
/// few images takes the time that reading them takes.
package struct LinearWeights<Scalar: RealScalar>: Sendable {
  private let kernels: PackedKernels<Scalar>
  private let features: Int, outputs: Int
  private let packed: Tensor<Scalar>
  private let bias: Tensor<Scalar>?

  /// Packs the weights `[O, I]`, and releases a mapped file's pages on the way; `nil` in a precision that has no kernels.
  package init?(_ weight: Tensor<Scalar>, bias: Tensor<Scalar>?) {
    guard let kernels = Scalar.preferredPackedKernels else { return nil }
    let (outputs, features) = (weight.shape[0], weight.shape[1])
    (self.kernels, self.outputs, self.features, self.bias) = (kernels, outputs, features, bias)
    let panel = Int(COVPOOL_LINEAR_PANEL), panels = (outputs + panel - 1) / panel
    packed = Tensor([panels, features, panel]) { packed in
      let to = packed.baseAddress!
      WorkerPool.shared.forEach(panels) { index in
        kernels.packLinear(weight.pointer, features, outputs, index, to + index * features * panel)
        let rows = index * panel..<min((index + 1) * panel, outputs)
        weight.storage?.releasePages(rows.lowerBound * features..<rows.upperBound * features)
      }
    }
  }

  /// `[B, I]` to `[B, O]`, the activation applied last.
  package func apply(
    _ x: UnsafePointer<Scalar>, batch: Int, activation: Activation = .identity, into y: UnsafeMutablePointer<Scalar>
  ) {
    let images = Int(COVPOOL_LINEAR_IMAGES), groups = (batch + images - 1) / images
    let pool = WorkerPool.shared
    withScratch(of: Scalar.self, groups * images * features) { columns in
      let parts = pool.width
      pool.forEach(groups * parts) { index in
        let (group, part) = index.quotientAndRemainder(dividingBy: parts)
        kernels.packImages(
          x + group * images * features, min(images, batch - group * images), features,
          part * features / parts, (part + 1) * features / parts, columns + group * images * features)
      }
      pool.forEach(packed.shape[0]) { panel in
        kernels.linearPanel(
          columns, batch, packed.pointer + panel * features * packed.shape[2], bias?.pointer, activation.kernel,
          features, outputs, panel, y)
      }
    }
  }
}
