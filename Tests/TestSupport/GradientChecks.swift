import Foundation
import NeuralNetworks

/// A scalar made of a tensor in which every element counts differently: Σ xᵢ uᵢ with fixed u in [−1, 1).
public func probe<Scalar>(_ x: Tensor<Scalar>, _ name: String = "direction") -> Tensor<Scalar> {
  let weight = Tensor<Scalar>([1, x.scalarCount], unit(name, count: x.scalarCount).map { Scalar($0) })
  return LinearMap().applied(to: x.reshaped(to: [1, x.scalarCount]), weight, Tensor([1], repeating: 0))
}

/// The largest difference between the gradients of `function` and central differences, relative to the largest gradient.
///
/// Every input is moved along two fixed random directions and, while it is small, along each of its axes.
public func gradientError(
  at inputs: [Tensor<Double>], step: Double = 1e-6, _ function: ([Tensor<Double>]) -> Tensor<Double>
) -> Double {
  let gradients = valueWithGradients(at: inputs, function).gradients
  var worst = 0.0
  for (position, input) in inputs.enumerated() {
    let g = gradients[position].scalars
    var directions = (0..<2).map { unit("direction \(position) \($0)", count: input.scalarCount).map(Double.init) }
    if input.scalarCount <= 60 {
      directions += (0..<input.scalarCount).map { axis in
        var direction = [Double](repeating: 0, count: input.scalarCount)
        direction[axis] = 1
        return direction
      }
    }
    let scale = max(g.map(abs).max() ?? 0, 1e-3)
    for direction in directions {
      func value(_ t: Double) -> Double {
        var moved = inputs
        moved[position] = Tensor(input.shape, zip(input.scalars, direction).map { $0 + t * $1 })
        return function(moved).scalars[0]
      }
      let difference = (value(step) - value(-step)) / (2 * step)
      let slope = zip(g, direction).reduce(0) { $0 + $1.0 * $1.1 }
      let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let error = abs(difference - slope) / (scale * length)
      worst = error.isNaN ? .infinity : max(worst, error)
    }
  }
  return worst
}
